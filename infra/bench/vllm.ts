/**
 * `vllm`: the target in vLLM on this machine's CPU, f32: plain, with vLLM's own speculations, and with hints from the
 * edge, through the HTTP API. The tiny pair: its draft has the target's whole vocabulary, as vLLM's draft models must.
 *
 * All variants take each prompt in turn. A step is one of the engine, prefill included.
 */
import { join } from "node:path";
import { ensureHuggingFaceFolder } from "../models/huggingface-folder.ts";
import { ensureConvertPython } from "../models/python-env.ts";
import { ensureTinyModel } from "../models/tiny-model.ts";
import { ensureVllmPython } from "../models/vllm-env.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import type { System } from "../start/system.ts";
import { complete, type Drafts } from "./client.ts";
import { fetchHumanEvalPrompts, type Prompt } from "./prompts.ts";
import { type Bench, median, type Row, round } from "./result.ts";
import { startTemporarySystem } from "./temporary-system.ts";
import { OwnVllm } from "./vllm/own.ts";

/** Long enough that a text's first steps, for which there can be no hints yet, weigh little. */
const TOKENS = 256;
/** As many as vLLM's own speculations draft a step (own.py). */
const HINT_ROWS = "6";
const PROMPTS = { quick: 4, full: 16 };
/** Of HumanEval's prompts those that the tiny target's context of 512 has room for, and the texts after them. */
const MOST_LETTERS = 450;
/** Of each variant before the first is measured: whatever runs is compiled by then. */
const WARM_UPS = 2;
const DRAFT = join(ROOT, "infra/models/tiny/draft/model.draft");

type Result = { ids: readonly number[]; steps: number; tokS: number };
/** `plain`: the text without hints, for what foretells it. */
type Variant = { mode: string; run(prompt: string, plain: Result & { text: string }): Promise<Result> };

export const benchVllm: Bench = async ({ quick }, say) => {
  const data = openDataFolder();
  const python = await ensureVllmPython(data, say);
  const folder = await ensureHuggingFaceFolder(data, await ensureTinyModel(data), python, say);
  const convert = await ensureConvertPython(data, say);
  const prompts = (await fetchHumanEvalPrompts(data.cache, convert.path))
    .map(({ request }) => ("prompt" in request ? request.prompt : ""))
    .filter(({ length }) => length > 0 && length < MOST_LETTERS)
    .slice(0, PROMPTS[quick ? "quick" : "full"]);
  const own: OwnVllm[] = [];
  let system: System | undefined;
  try {
    for (const how of ["ngram", DRAFT]) {
      say(`starting vLLM with ${how === DRAFT ? "our draft beside it" : how}`);
      own.push(await OwnVllm.start(python, folder, how, TOKENS));
    }
    say("starting the whole system");
    const verifierEnv = {
      ...{ VLLM_DTYPE: "float32", VLLM_EAGER: "1", CONTEXT: "512" },
      VLLM_HINT_ROWS: HINT_ROWS,
    };
    system = await startTemporarySystem({ target: "tiny", engine: "vllm", testHints: true, verifierEnv });
    return await measure(system, own, prompts, say);
  } finally {
    await Promise.all(own.map((process) => process.stop()));
    await system?.stop();
  }
};

async function measure(
  system: System,
  [ngram, draft]: OwnVllm[],
  prompts: readonly string[],
  say: (line: string) => void,
): Promise<{ rows: Row[]; summary: Row }> {
  const plainly = (text: string) => overHttp(system, text, "off");
  const variants: Variant[] = [
    { mode: "plain", run: plainly },
    { mode: "vllm-ngram", run: (text) => ownResult(ngram!, text) },
    { mode: "vllm-draft", run: (text) => ownResult(draft!, text) },
    { mode: "edge", run: (text) => overHttp(system, text, "honest") },
    { mode: "right-hints", run: (text, plain) => overHttp(system, text, "honest", plain.text) },
    { mode: "half-right-hints", run: (text, plain) => overHttp(system, text, "honest", halved(plain.text)) },
    { mode: "wrong-hints", run: (text) => overHttp(system, text, "wrong") },
  ];
  const results = variants.map((): { result: Result; plain: Result }[] => []);
  for (const prompt of prompts.slice(0, WARM_UPS)) {
    const plain = await plainly(prompt);
    for (const { run } of variants) await run(prompt, plain);
  }
  for (const [n, prompt] of prompts.entries()) {
    const plain = await plainly(prompt);
    for (const [v, { run }] of variants.entries())
      results[v]!.push({ result: await run(prompt, plain), plain });
    say(`prompt ${n + 1} of ${prompts.length}`);
  }
  const rows = variants.map(({ mode }, v) => rowOf(mode, results[v]!));
  return { rows, summary: summarise(rows) };
}

/** What the edge remembers of earlier texts stays out. */
async function overHttp(
  system: System,
  text: string,
  drafts: Drafts,
  prediction?: string,
): Promise<Result & { text: string }> {
  const request = {
    prompt: text,
    ...(prediction && { prediction: { type: "content" as const, content: prediction } }),
  };
  const prompt: Prompt = { name: "humaneval", request };
  return await complete(system, prompt, {
    maxTokens: TOKENS,
    temperature: 0,
    seed: 0,
    drafts,
    noStore: true,
  });
}

async function ownResult(own: OwnVllm, text: string): Promise<Result> {
  const { ids, steps, ms } = await own.complete(text);
  return { ids, steps, tokS: ((ids.length - 1) / ms) * 1000 };
}

/** Every second line of a text is another. */
const halved = (text: string): string =>
  text
    .split("\n")
    .map((line, n) => (n % 2 ? `# ${line.length} ${n}` : line))
    .join("\n");

function rowOf(mode: string, results: readonly { result: Result; plain: Result }[]): Row {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const steps = sum(results.map(({ result }) => result.steps));
  return {
    mode,
    steps,
    tokens_per_step: round(sum(results.map(({ result }) => result.ids.length)) / steps, 3),
    tok_s: round(median(results.map(({ result }) => result.tokS)), 1),
    identical: results.every(({ result, plain }) => result.ids.join() === plain.ids.join()),
  };
}

function summarise(rows: readonly Row[]): Row {
  const of = (mode: string) => rows.find((row) => row.mode === mode)!;
  const plain = of("plain");
  return {
    worst_identical: rows.every(({ identical }) => identical === true),
    correct_hints_steps_ratio: round(Number(plain.steps) / Number(of("right-hints").steps), 2),
    wrong_hints_ratio: round(Number(of("wrong-hints").tok_s) / Number(plain.tok_s), 3),
    edge_over_vllm_draft: round(
      Number(of("edge").tokens_per_step) / Number(of("vllm-draft").tokens_per_step),
      3,
    ),
  };
}
