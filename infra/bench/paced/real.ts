/**
 * Real rows of `rtt`: the whole system (the worker with the draft that ships, the verification service with the
 * default target) through the network. Speeds and bytes by distance, with a paced target on a shared link. The first
 * token's delay by link, and bytes per token unpaced on a link of the request's own, which takes the more.
 */
import { ensureConvertPython } from "../../models/python-env.ts";
import { openDataFolder } from "../../start/paths.ts";
import type { System } from "../../start/system.ts";
import { type Completion, complete, type Drafts } from "../client.ts";
import { leaveVerifierCore } from "../pinning.ts";
import { fetchHumanEvalPrompts, type Prompt } from "../prompts.ts";
import { median, type Row, round, type Summary } from "../result.ts";
import { startTemporarySystem } from "../temporary-system.ts";
import { RTTS_MS } from "./promised.ts";
import { pacedAs7B, type Regime } from "./regime.ts";

const WARM_UP: Prompt = { name: "warm-up", request: { prompt: "def add(a, b):" } };
const BYTES_TOKENS = 128;
/** The distance at which the first token's delay is compared with that at none. */
const FAR_MS = 30;
const FIRST_TOKEN_ROUNDS = 5;

type Link = "own" | "shared";
export type RealExtent = { prompts: number; maxTokens: number };
type Say = (line: string) => void;
type Systems = Record<"paced" | "unpaced", System>;
export type RealBench = {
  measure(extent: RealExtent): Promise<{ rows: Row[]; summary: Summary }>;
  stop(): Promise<void>;
};

/** Starts what is measured: that takes long, so both systems start together. Throws StartError. */
export async function startReal(say: Say): Promise<RealBench> {
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const prompts = await fetchHumanEvalPrompts(data.cache, python.path);
  const starting = [start("shared", pacedAs7B(), say), start("own", undefined, say)] as const;
  const stop = async () => {
    for (const started of await Promise.allSettled(starting)) {
      if (started.status === "fulfilled") await started.value.stop();
    }
  };
  try {
    const [paced, unpaced] = await Promise.all(starting);
    const measure = (extent: RealExtent) =>
      measureReal({ paced, unpaced }, prompts.slice(0, extent.prompts), extent.maxTokens, say);
    return { measure, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function measureReal(
  { paced, unpaced }: Systems,
  suite: readonly Prompt[],
  maxTokens: number,
  say: Say,
): Promise<{ rows: Row[]; summary: Summary }> {
  const rows = await measureSpeeds(paced, suite, maxTokens, say);
  const shared = await measureFirstToken(paced, suite);
  const own = await measureFirstToken(unpaced, suite);
  const bytes = await measureBytes(unpaced, suite);
  return { rows, summary: { first_token_over_rtt0_ms: { own, shared }, ...bytes } };
}

async function start(link: Link, regime: Regime | undefined, say: Say): Promise<System> {
  const pinned = leaveVerifierCore();
  const system = await startTemporarySystem({
    ...{ target: "smollm2", say, pinned, link },
    ...(regime && { regime }),
    withNetwork: true,
  });
  try {
    for (const drafts of ["honest", "off"] as const) await ask(system, WARM_UP, 16, drafts);
    return system;
  } catch (error) {
    await system.stop();
    throw error;
  }
}

type Measured = { rttMs: number; plain: Completion[]; ours: Completion[]; up: number; down: number };

/** Prompt by prompt all distances, plain and ours in turn. */
async function measureSpeeds(
  system: System,
  suite: readonly Prompt[],
  maxTokens: number,
  say: Say,
): Promise<Row[]> {
  const { conditions, traffic } = system.network!;
  const cells = RTTS_MS.map((rttMs): Measured => ({ rttMs, plain: [], ours: [], up: 0, down: 0 }));
  for (const prompt of suite) {
    for (const cell of cells) {
      conditions.delayMs = cell.rttMs / 2;
      cell.plain.push(await ask(system, prompt, maxTokens, "off"));
      const before = { ...traffic };
      cell.ours.push(await ask(system, prompt, maxTokens, "honest"));
      cell.up += traffic.up - before.up;
      cell.down += traffic.down - before.down;
      const speedup = cell.ours.at(-1)!.tokS / cell.plain.at(-1)!.tokS;
      say(`real, ${cell.rttMs} ms, ${prompt.name}: ${round(speedup, 2)}`);
    }
  }
  return cells.map(rowOf);
}

/** Milliseconds by which the first token comes later at FAR_MS than at 0. */
async function measureFirstToken(system: System, suite: readonly Prompt[]): Promise<number> {
  const delays: Record<number, number[]> = { 0: [], [FAR_MS]: [] };
  for (let n = 0; n < Math.max(FIRST_TOKEN_ROUNDS, suite.length); n++) {
    const prompt = suite[n % suite.length]!;
    system.network!.conditions.delayMs = 0;
    // The prompt's keys and values are to be there at both distances.
    await ask(system, prompt, 2, "honest");
    for (const rttMs of [0, FAR_MS]) {
      system.network!.conditions.delayMs = rttMs / 2;
      const startedAt = performance.now();
      const { times } = await ask(system, prompt, 2, "honest");
      if (times[0] !== undefined) delays[rttMs]!.push(times[0] - startedAt);
    }
  }
  return round(median(delays[FAR_MS]!) - median(delays[0]!), 1);
}

/** TCP payload between worker and verifier over delivered tokens. */
async function measureBytes(system: System, suite: readonly Prompt[]): Promise<Summary> {
  system.network!.conditions.delayMs = 0;
  const before = { ...system.network!.traffic };
  let tokens = 0;
  for (const prompt of suite) tokens += (await ask(system, prompt, BYTES_TOKENS, "honest")).tokens;
  const { up, down } = system.network!.traffic;
  return {
    bytes_up_per_token: round((up - before.up) / tokens, 1),
    bytes_down_per_token: round((down - before.down) / tokens, 1),
  };
}

const ask = (system: System, prompt: Prompt, maxTokens: number, drafts: Drafts): Promise<Completion> =>
  complete(system, prompt, { maxTokens, temperature: 0, seed: 0, drafts, noStore: true });

function rowOf({ rttMs, plain, ours, up, down }: Measured): Row {
  const sum = (value: (one: Completion) => number) => ours.reduce((total, one) => total + value(one), 0);
  const ratios = ours.map((one, i) => one.tokS / plain[i]!.tokS).filter(Number.isFinite);
  const tokens = sum((one) => one.tokens);
  return {
    ...{ draft: "real", alpha: null, rtt_ms: rttMs, plain: 1 },
    ...{ ask_wait: null, ask_wait_flight: null, beside: null },
    ours: round(median(ratios), 3),
    promised: null,
    tokens_per_step: round(tokens / sum((one) => one.steps), 2),
    bytes_up_per_token: round(up / tokens, 1),
    bytes_down_per_token: round(down / tokens, 1),
  };
}
