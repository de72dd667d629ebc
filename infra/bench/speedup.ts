/**
 * `speedup`: tokens per second with drafts on and off, through the HTTP API.
 *
 * Both are measured for each prompt, one after the other, so that what else the machine does strikes both alike;
 * which goes first alternates. Temperature 0.
 */
import { ensureConvertPython } from "../models/python-env.ts";
import { openDataFolder } from "../start/paths.ts";
import { type Completion, complete, type Drafts, type Endpoint } from "./client.ts";
import { leaveVerifierCore } from "./pinning.ts";
import { fetchHumanEvalPrompts, type Prompt, readChatPrompts, type SuiteName } from "./prompts.ts";
import { median, type Row, round } from "./result.ts";
import { startTemporarySystem } from "./temporary-system.ts";

const MAX_TOKENS = 128;
const QUICK_BUDGET_MS = 40_000;
const FULL_BUDGET_MS = 15 * 60_000;
const WARM_UP: Prompt = { name: "warm-up", request: { prompt: "def add(a, b):" } };

export type Suite = { name: SuiteName; prompts: readonly Prompt[] };
type Pair = { prompt: string; plain: Completion; drafts: Completion };
type Measured = { rows: Row[]; summary: Record<string, Row> };

export async function benchSpeedup(
  { quick }: { quick: boolean },
  say: (line: string) => void,
): Promise<Measured> {
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const suites: Suite[] = [
    { name: "humaneval", prompts: await fetchHumanEvalPrompts(data.cache, python.path) },
    { name: "chat", prompts: readChatPrompts() },
  ];
  const system = await startTemporarySystem({ target: "smollm2", say, pinned: leaveVerifierCore() });
  try {
    // The first request loads the draft into the worker; its time is not what is measured.
    for (const drafts of ["honest", "off"] as const) {
      await complete(system, WARM_UP, { maxTokens: 32, temperature: 0, seed: 0, drafts });
    }
    return await measureSpeedup(system, suites, quick ? QUICK_BUDGET_MS : FULL_BUDGET_MS, say);
  } finally {
    await system.stop();
  }
}

/** Measures prompts of all suites in turn until each was measured or `budgetMs` is spent. */
export async function measureSpeedup(
  endpoint: Endpoint,
  suites: readonly Suite[],
  budgetMs: number,
  report: (line: string) => void,
): Promise<Measured> {
  const deadline = performance.now() + budgetMs;
  const pairs = new Map<SuiteName, Pair[]>(suites.map(({ name }) => [name, []]));
  const rounds = Math.max(...suites.map(({ prompts }) => prompts.length));
  for (let n = 0; n < rounds; n++) {
    for (const { name, prompts } of suites) {
      const prompt = prompts[n];
      if (!prompt || (n > 0 && performance.now() > deadline)) continue;
      const pair = await measurePair(endpoint, prompt, n);
      // A text of one token has no speed.
      if (pair.plain.tokens < 2) continue;
      pairs.get(name)?.push(pair);
      report(`${prompt.name}: ${ratioOf(pair).toFixed(2)}`);
    }
  }
  const measured = [...pairs].filter(([, list]) => list.length > 0);
  return {
    rows: measured.flatMap(([suite, list]) => list.map((pair) => rowOf(suite, pair))),
    summary: Object.fromEntries(measured.map(([suite, list]) => [suite, summarise(list)])),
  };
}

async function measurePair(endpoint: Endpoint, prompt: Prompt, n: number): Promise<Pair> {
  const run = (drafts: Drafts) =>
    complete(endpoint, prompt, { maxTokens: MAX_TOKENS, temperature: 0, seed: 0, drafts });
  if (n % 2 === 0) {
    const plain = await run("off");
    return { prompt: prompt.name, plain, drafts: await run("honest") };
  }
  const drafts = await run("honest");
  return { prompt: prompt.name, plain: await run("off"), drafts };
}

const ratioOf = ({ plain, drafts }: Pair): number => drafts.tokS / plain.tokS;
const acceptedPerStep = ({ drafts }: Pair): number => (drafts.steps > 0 ? drafts.accepted / drafts.steps : 0);
const isIdentical = ({ plain, drafts }: Pair): boolean =>
  plain.text === drafts.text && plain.ids.join() === drafts.ids.join();

const rowOf = (suite: SuiteName, pair: Pair): Row => ({
  suite,
  prompt: pair.prompt,
  plain_tok_s: round(pair.plain.tokS, 1),
  drafts_tok_s: round(pair.drafts.tokS, 1),
  ratio: round(ratioOf(pair), 3),
  accepted_per_step: round(acceptedPerStep(pair), 3),
  identical: isIdentical(pair),
});

const summarise = (pairs: readonly Pair[]): Row => ({
  plain_tok_s: round(median(pairs.map((pair) => pair.plain.tokS)), 1),
  drafts_tok_s: round(median(pairs.map((pair) => pair.drafts.tokS)), 1),
  ratio: round(median(pairs.map(ratioOf)), 3),
  accepted_per_step: round(median(pairs.map(acceptedPerStep)), 3),
  identical: pairs.every(isIdentical),
});
