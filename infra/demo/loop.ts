/**
 * `npm run demo:loop [-- --json]`: the closed loop, once, in front of you. Traffic of a domain that the draft does not
 * know is served and captured; the schedule's tick starts the chain; the draft is trained, passes the gates, serves
 * as a canary, is compared and promoted. Requests of the domain that nobody has captured judge it, before and after:
 * served through the public API, foreseen by the published image in the edge's kernel, counted by the verifier.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import { pacedAs7B } from "../bench/paced/regime.ts";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { StartError } from "../start/errors.ts";
import { runMain } from "../start/run-main.ts";
import type { System } from "../start/system.ts";
import { type Chains, capturedRequests, chainsOf, makeKey, type Operator, tick } from "./admin.ts";
import { prompts } from "./domain.ts";
import { type Judged, judge } from "./judge.ts";
import { complete, completeAll, type Endpoint } from "./traffic.ts";

const TRAFFIC = 400;
const HELD = 48;
const AT_ONCE = 8;
/** The domain's prompts from here on are never captured. */
const HELD_FROM = 10_000;
const LIVE_FROM = 20_000;
const GAIN = 0.1;
const RETRAINING = { min_traffic: TRAFFIC, share: 0.5, min_requests: 40, looks: 3, poll_s: 5 };
const CAPTURE_TIMEOUT_MS = 60_000;
const CHAIN_TIMEOUT_MS = 1_800_000;
const UPTAKE_TIMEOUT_MS = 60_000;
const [NIGHTLY, RECONCILE] = ["0 3 * * *", "*/15 * * * *"];

await runMain(main);

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
  const say = (line: string) => console.error(line);
  const began = Date.now();
  // Paced: the tiny target alone would be done before a hint could reach it. What is accepted does not depend on it.
  const system = await startTemporarySystem({
    ...{ target: "tiny", retrainRecipe: "tiny-traffic", retraining: RETRAINING },
    ...{ regime: pacedAs7B(), say },
  });
  const folder = mkdtempSync(join(tmpdir(), "outrider-demo-"));
  const publisher = await openPublisher(system.publishing);
  try {
    const found = await demonstrate(system, publisher, folder, say);
    const seconds = Math.round((Date.now() - began) / 1000);
    if (values.json) console.log(JSON.stringify({ ...found, seconds }));
    else console.log(tableOf(found, seconds));
    return found.gain >= GAIN ? 0 : 1;
  } finally {
    publisher.close();
    rmSync(folder, { recursive: true, force: true });
    await system.stop();
  }
}

async function demonstrate(
  system: System,
  publisher: Publisher,
  folder: string,
  say: (line: string) => void,
) {
  const operator: Operator = { address: system.address, secret: system.secrets.admin };
  const endpoint = async (name: string, stored: boolean): Promise<Endpoint> => ({
    ...{ address: system.address, target: system.target, stored },
    key: await makeKey(operator, name, stored),
  });
  const [stranger, users] = [await endpoint("judge", false), await endpoint("users", true)];
  const held = prompts(HELD, HELD_FROM);

  const before = await judge(stranger, publisher, held, AT_ONCE, folder);
  say(`before: the draft foresees ${percent(before.greedy)} of ${HELD} held-out requests' ids`);
  await completeAll(users, prompts(TRAFFIC), AT_ONCE);
  await until(
    async () => (await capturedRequests(operator)) >= TRAFFIC,
    "traffic captured",
    CAPTURE_TIMEOUT_MS,
  );
  say(`${TRAFFIC} requests served and captured`);
  await tick(operator, NIGHTLY, Date.now());
  const chain = await throughTheChain(operator, stranger, say);
  if (chain.state !== "promoted") throw new StartError(`the chain ended as ${chain.state}: ${chain.note}`);

  await until(
    async () => (await complete(stranger, held[0]!)).release === chain.release,
    `${chain.release} serves`,
    UPTAKE_TIMEOUT_MS,
  );
  const after = await judge(stranger, publisher, held, AT_ONCE, folder);
  const gain = after.greedy - before.greedy;
  return {
    domain: "heads of classes",
    held: HELD,
    before,
    after,
    gain,
    chain: chain.id,
    verdict: chain.note,
  };
}

/** Serves the domain on, for both releases to be compared, until the chain has ended; says what it does. */
async function throughTheChain(operator: Operator, users: Endpoint, say: (line: string) => void) {
  const deadline = Date.now() + CHAIN_TIMEOUT_MS;
  let told = 0;
  for (let served = 0; ; served += AT_ONCE) {
    const now = await chainsOf(operator);
    const chain = now.chains[0];
    if (!chain) throw new StartError("the tick began no chain");
    told = tell(now, told, say);
    if (chain.ended !== null) return chain;
    if (Date.now() > deadline) throw new StartError(`the chain goes on after half an hour: ${chain.state}`);
    if (chain.state === "canary") await completeAll(users, prompts(AT_ONCE, LIVE_FROM + served), AT_ONCE);
    else await sleep(2_000);
    await tick(operator, RECONCILE, Date.now());
  }
}

function tell({ audit }: Chains, told: number, say: (line: string) => void): number {
  const entries = audit.toReversed();
  for (const { at, done } of entries.slice(told)) say(`  ${at.slice(11, 19)}  ${done}`);
  return entries.length;
}

async function until(holds: () => Promise<boolean>, what: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new StartError(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(500);
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function tableOf(found: Awaited<ReturnType<typeof demonstrate>>, seconds: number): string {
  const row = (name: string, { release, greedy, drafted, accepted, tokens_per_step }: Judged) =>
    [
      `${name.padEnd(8)}${percent(greedy).padStart(6)} of all ids foreseen`,
      `${percent(accepted)} of ${drafted} drafted ids accepted`,
      `${tokens_per_step.toFixed(2)} tokens a step`,
      release,
    ].join("   ");
  return [
    `${found.held} held-out requests (${found.domain}), greedy, served through the whole path`,
    row("before", found.before),
    row("after", found.after),
    `gain ${found.gain >= 0 ? "+" : ""}${found.gain.toFixed(3)} (wanted: +${GAIN.toFixed(2)}), ${seconds} s; ${found.verdict}`,
  ].join("\n");
}
