/**
 * Real rows of `rtt`: the whole system (the worker with the draft that ships, the verification service with the
 * default target paced) through the network, by distance: speed, tokens per step, delay of the first token, bytes.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureConvertPython } from "../../models/python-env.ts";
import { openDataFolder } from "../../start/paths.ts";
import type { System } from "../../start/system.ts";
import { type Completion, complete, type Drafts } from "../client.ts";
import { leaveVerifierCore } from "../pinning.ts";
import { fetchHumanEvalPrompts, type Prompt } from "../prompts.ts";
import { median, type Row, round } from "../result.ts";
import { startTemporarySystem } from "../temporary-system.ts";
import { RTTS_MS } from "./promised.ts";
import { pacedAs7B, paceFile } from "./regime.ts";

const WARM_UP: Prompt = { name: "warm-up", request: { prompt: "def add(a, b):" } };

/** A completion, its first token's delay in ms, and the bytes that it took on the wire. */
type Measured = Completion & { firstMs: number; up: number; down: number };

/** Throws StartError. */
export async function measureReal(
  prompts: number,
  maxTokens: number,
  say: (line: string) => void,
): Promise<Row[]> {
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const suite = (await fetchHumanEvalPrompts(data.cache, python.path)).slice(0, prompts);
  const folder = mkdtempSync(join(tmpdir(), "outrider-pace-"));
  const pace = join(folder, "pace.json");
  writeFileSync(pace, paceFile(pacedAs7B()));
  const pinned = leaveVerifierCore();
  const verifierEnv = { PACE_FILE: pace };
  const system = await startTemporarySystem({
    target: "smollm2",
    say,
    pinned,
    verifierEnv,
    withNetwork: true,
  });
  try {
    for (const drafts of ["honest", "off"] as const) await measure(system, WARM_UP, 16, drafts);
    const cells = RTTS_MS.map((rttMs) => ({ rttMs, plain: [] as Measured[], ours: [] as Measured[] }));
    for (const prompt of suite) {
      for (const { rttMs, plain, ours } of cells) {
        system.network!.conditions.delayMs = rttMs / 2;
        plain.push(await measure(system, prompt, maxTokens, "off"));
        ours.push(await measure(system, prompt, maxTokens, "honest"));
        say(`real, ${rttMs} ms, ${prompt.name}: ${round(ours.at(-1)!.tokS / plain.at(-1)!.tokS, 2)}`);
      }
    }
    return cells.map(({ rttMs, plain, ours }) => rowOf(rttMs, plain, ours));
  } finally {
    await system.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(system: System, prompt: Prompt, maxTokens: number, drafts: Drafts): Promise<Measured> {
  const before = { ...system.network!.traffic };
  const startedAt = performance.now();
  const completion = await complete(system, prompt, {
    maxTokens,
    temperature: 0,
    seed: 0,
    drafts,
    noStore: true,
  });
  const { up, down } = system.network!.traffic;
  const firstMs = (completion.times[0] ?? Number.NaN) - startedAt;
  return { ...completion, firstMs, up: up - before.up, down: down - before.down };
}

function rowOf(rttMs: number, plain: readonly Measured[], ours: readonly Measured[]): Row {
  const sum = (value: (one: Measured) => number) => ours.reduce((total, one) => total + value(one), 0);
  const tokens = sum((one) => one.tokens);
  const ratios = ours.map((one, i) => one.tokS / plain[i]!.tokS).filter(Number.isFinite);
  return {
    ...{ draft: "real", alpha: null, rtt_ms: rttMs, plain: 1 },
    ...{ ask_wait: null, ask_wait_flight: null, beside: null },
    ours: round(median(ratios), 3),
    promised: null,
    tokens_per_step: round(tokens / sum((one) => one.steps), 2),
    first_token_ms: round(median(ours.map((one) => one.firstMs)), 1),
    bytes_up_per_token: round(sum((one) => one.up) / tokens, 1),
    bytes_down_per_token: round(sum((one) => one.down) / tokens, 1),
  };
}
