/**
 * `vllm`: a target in vLLM on this machine's CPU, f32: plain, with vLLM's own speculations, and with hints from the
 * edge, through the HTTP API.
 *
 * All variants take each prompt in turn. A step is one of the engine, prefill included.
 */
import { basename, join } from "node:path";
import type { TargetText } from "../../edge/text/target-text.ts";
import { ensureHuggingFaceFolder } from "../models/huggingface-folder.ts";
import { ensureVllmPython } from "../models/vllm-env.ts";
import { StartError } from "../start/errors.ts";
import { openDataFolder } from "../start/paths.ts";
import type { System } from "../start/system.ts";
import { prepareTarget } from "../start/target.ts";
import { complete, type Drafts } from "./client.ts";
import { leaveVerifierCore } from "./pinning.ts";
import { encode, readTargetText } from "./prompt-ids.ts";
import type { Prompt } from "./prompts.ts";
import type { Bench, Row } from "./result.ts";
import { startTemporarySystem } from "./temporary-system.ts";
import { OwnVllm } from "./vllm/own.ts";
import { pairOf, promptsOf } from "./vllm/pairs.ts";
import { type Measured, type Result, rowOf, summarise } from "./vllm/rows.ts";

/** As many as vLLM's own speculations draft a step (own.py). */
const HINT_ROWS = "6";

/** Of the text that each variant begins with: whatever runs is compiled by then. */
const WARM_UP_TOKENS = 8;

type Ask = { prompt: Prompt; tokens: number };
/** `text`: the one without hints, for what foretells it. */
type Variant = { mode: string; run(ask: Ask, text: string): Promise<Result> };

export const benchVllm: Bench = async (options, say) => {
  const data = openDataFolder();
  const pair = pairOf(options.pair);
  const python = await ensureVllmPython(data, say);
  const { folder, draft } = await prepareTarget(pair.target, data, say);
  if (!draft) throw new StartError(`bench vllm: no draft ships for ${pair.target}`);
  const target = await ensureHuggingFaceFolder(data, folder, python, say);
  const { text } = await readTargetText(folder);
  const amount = pair[options.quick ? "quick" : "full"];
  const prompts = await promptsOf(pair, data, amount.texts);
  const pinned = leaveVerifierCore();
  const own: OwnVllm[] = [];
  let system: System | undefined;
  try {
    for (const how of ["ngram", join(draft, "model.draft")]) {
      say(`starting vLLM with ${basename(how)}`);
      const stop_ids = text.manifest.eos_ids;
      own.push(await OwnVllm.start({ python, target, context: pair.context, stop_ids }, how));
    }
    say("starting the whole system");
    system = await startTemporarySystem({
      ...{ target: pair.target, engine: "vllm", testHints: true, pinned },
      verifierEnv: {
        ...{ VLLM_DTYPE: "float32", VLLM_EAGER: "1", CONTEXT: String(pair.context) },
        VLLM_HINT_ROWS: HINT_ROWS,
      },
    });
    return await measure(variantsOf(system, own, text), prompts, amount.tokens, say);
  } finally {
    await Promise.all(own.map((process) => process.stop()));
    await system?.stop();
  }
};

function variantsOf(system: System, [ngram, draft]: OwnVllm[], text: TargetText) {
  const hinted = ({ prompt, tokens }: Ask, drafts: Drafts, prediction?: string) =>
    complete(system, foretold(prompt, prediction), {
      ...{ maxTokens: tokens, temperature: 0, seed: 0, drafts },
      // What the edge remembers of earlier texts stays out.
      noStore: true,
    });
  const alone = async (own: OwnVllm, { prompt, tokens }: Ask): Promise<Result> => {
    const { ids, steps, ms } = await own.complete(encode(prompt, text), tokens);
    return { ids, steps, tokS: ((ids.length - 1) / ms) * 1000 };
  };
  const variants: Variant[] = [
    { mode: "wrong-hints", run: (ask) => hinted(ask, "wrong") },
    { mode: "vllm-ngram", run: (ask) => alone(ngram!, ask) },
    { mode: "vllm-draft", run: (ask) => alone(draft!, ask) },
    { mode: "edge", run: (ask) => hinted(ask, "honest") },
    { mode: "right-hints", run: (ask, plain) => hinted(ask, "honest", plain) },
    { mode: "half-right-hints", run: (ask, plain) => hinted(ask, "honest", halved(plain)) },
  ];
  return { plainly: (ask: Ask) => hinted(ask, "off"), variants };
}

async function measure(
  { plainly, variants }: ReturnType<typeof variantsOf>,
  prompts: readonly Prompt[],
  tokens: number,
  say: (line: string) => void,
): Promise<{ rows: Row[]; summary: Row }> {
  const results = variants.map((): Measured[] => []);
  const take = async (ask: Ask): Promise<Measured[]> => {
    const plain = await plainly(ask);
    const all: Measured[] = [];
    for (const { run } of variants) all.push({ plain, result: await run(ask, plain.text) });
    return all;
  };
  await take({ prompt: prompts[0]!, tokens: WARM_UP_TOKENS });
  for (const [n, prompt] of prompts.entries()) {
    for (const [v, measured] of (await take({ prompt, tokens })).entries()) results[v]!.push(measured);
    say(`prompt ${n + 1} of ${prompts.length}`);
  }
  const plainRow = rowOf(
    "plain",
    results[0]!.map(({ plain }) => ({ plain, result: plain })),
  );
  const rows = [plainRow, ...variants.map(({ mode }, v) => rowOf(mode, results[v]!))];
  return { rows, summary: summarise(rows) };
}

const foretold = ({ name, request }: Prompt, content?: string): Prompt => ({
  name,
  request: { ...request, ...(content && { prediction: { type: "content", content } }) },
});

/** Every second line of a text is another. */
const halved = (text: string): string =>
  text
    .split("\n")
    .map((line, n) => (n % 2 ? `# ${line.length} ${n}` : line))
    .join("\n");
