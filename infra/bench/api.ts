/**
 * `api`: what the Worker costs between a client and the verifier, with drafts off: CPU time per delivered token, how
 * much later the first token comes, how long the verifier works on for a client that has left. Once with a link of
 * each request's own, once through the link object.
 *
 * The target is the tiny one, its steps paced, so that the load is known: some 2,500 tokens a second, as from 64
 * streams of a model on a GPU. A Worker wakes for all that has come, and costs the less per token the more there is.
 */
import { basename, join } from "node:path";
import { openDataFolder } from "../start/paths.ts";
import type { System } from "../start/system.ts";
import { leaveWorkerCore } from "./api/apart.ts";
import { measureCancel } from "./api/cancel.ts";
import { measureFirstToken } from "./api/first-token.ts";
import { askPlainly } from "./api/request.ts";
import { findAddress } from "./api/worker-address.ts";
import { cpuMsOf, findWorker } from "./api/worker-cpu.ts";
import type { Regime } from "./paced/regime.ts";
import { leaveVerifierCore } from "./pinning.ts";
import { type Bench, median, type Row, round } from "./result.ts";
import { startTemporarySystem } from "./temporary-system.ts";

const LINKS = ["own", "shared"] as const;
type Link = (typeof LINKS)[number];
/** Streams at once: as many as the verifier can have slots. */
const STREAMS = 8;
const STEP_MS = 3;
const REGIME: Regime = { label: `${STEP_MS} ms a step`, dilation: 1, draftMs: 0, stepMs: () => STEP_MS };
type Extent = { rounds: number; tokens: number; firstTokens: number; cancels: number };
const FULL: Extent = { rounds: 12, tokens: 400, firstTokens: 100, cancels: 30 };
const QUICK: Extent = { rounds: 4, tokens: 200, firstTokens: 25, cancels: 8 };

export const benchApi: Bench = async ({ quick }, say) => {
  const extent = quick ? QUICK : FULL;
  const rows: Row[] = [];
  for (const link of LINKS) rows.push(await measureLink(link, extent, say));
  const [own, shared] = rows as [Row, Row];
  const worst = (name: string) => Math.max(Number(own[name]), Number(shared[name]));
  return {
    rows,
    summary: {
      own_link_cpu_ms_per_token: own.cpu_ms_per_token!,
      link_object_cpu_ms_per_token: shared.cpu_ms_per_token!,
      added_first_token_ms: worst("added_first_token_ms"),
      cancel_ms: worst("cancel_ms"),
      cold_first_token_ms: worst("cold_first_token_ms"),
    },
  };
};

async function measureLink(link: Link, extent: Extent, say: (line: string) => void): Promise<Row> {
  const pinned = leaveVerifierCore();
  const system = await startTemporarySystem({
    ...{ target: "tiny", regime: REGIME, link, cold: true, pinned },
    verifierEnv: { SLOTS: String(STREAMS) },
  });
  try {
    const cold = await askPlainly(system, "def add(a, b):\n", 2);
    const worker = findWorker(system.pid("worker"), Number(new URL(system.address).port));
    if (pinned) leaveWorkerCore(system.pid("worker"), worker);
    // Wrangler's own process in front of the Worker, a tool of development, is left out of everything.
    const bare = { ...system, address: await findAddress(worker) };
    const cpu = await measureCpu(bare, worker, extent);
    say(`${link}: ${round(cpu, 3)} ms of CPU per token`);
    const folder = join(openDataFolder().models, basename(system.target));
    const { throughMs, straightMs } = await measureFirstToken(bare, folder, extent.firstTokens);
    const cancels = await measureCancel(bare, extent.cancels);
    return {
      link,
      cpu_ms_per_token: round(cpu, 3),
      first_token_ms: round(throughMs, 1),
      straight_first_token_ms: round(straightMs, 1),
      added_first_token_ms: round(throughMs - straightMs, 1),
      cancel_ms: round(median(cancels), 1),
      slowest_cancel_ms: round(Math.max(...cancels), 1),
      cold_first_token_ms: round(cold.firstMs, 1),
    };
  } finally {
    await system.stop();
  }
}

/** Median over rounds of the Worker's CPU time per token, all threads of its process. The first round warms up. */
async function measureCpu(system: System, worker: number, { rounds, tokens }: Extent): Promise<number> {
  const perToken: number[] = [];
  for (let n = 0; n <= rounds; n++) {
    const before = cpuMsOf(worker);
    const prompts = Array.from({ length: STREAMS }, (_, i) => `# ${n} ${i}\nimport os\n`);
    const heard = await Promise.all(prompts.map((prompt) => askPlainly(system, prompt, tokens)));
    const delivered = heard.reduce((sum, one) => sum + one.tokens, 0);
    if (n > 0) perToken.push((cpuMsOf(worker) - before) / delivered);
  }
  return median(perToken);
}
