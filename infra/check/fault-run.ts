/**
 * Completions under faults: two replicas of the tiny target, each behind a network of the schedule's own, the edge's
 * own completion and drafter between them. Whatever breaks, the text must be the one that is made undisturbed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Drafter, PortfolioDrafter } from "../../edge/drafting/drafter.ts";
import { Lookup } from "../../edge/drafting/lookup.ts";
import { HostileDrafter } from "../../edge/drafting/test-hints.ts";
import { ownNodeLink } from "../bench/paced/node-link.ts";
import { drawVerdicts, OracleSource } from "../bench/paced/oracle.ts";
import { Schedule } from "../bench/paced/schedule.ts";
import { runSession, SessionFailed, type SessionSettings } from "../bench/paced/session.ts";
import { type BenchVerifiers, newLinkKey, startTinyVerifiers } from "../bench/paced/verifier.ts";
import { NetworkProxy } from "../network/proxy.ts";
import { drawFaultSchedule, type Fault, type FaultSchedule } from "./fault-schedule.ts";

export const FAULT_TOKENS = 48;
/** Slow enough that faults strike in the middle of a text. */
const STEP_MS = 4;
const REGIME = {
  label: "steps that leave time for faults",
  dilation: 1,
  stepMs: (rows: number) => STEP_MS * (1 + 0.03 * (rows - 1)),
  draftMs: 0.3,
};
/** An edge that has heard nothing for so long takes a link for lost. */
const SILENCE_MS = 400;
const ORACLE_ALPHA = 0.7;
const AT_ONCE = 6;
const RESTART_EVERY_MS = 4_000;
const MOST_TRIES = 8;
const RETRY_AFTER_MS = 250;

export type FaultReport = {
  schedules: number;
  /** Replicas restarted meanwhile. */
  restarts: number;
  /** Connections that the completions took: one each if nothing broke. */
  connections: number;
  /** Completions that found no replica any more and were asked for again, as a client would. */
  retries: number;
  /** A line for each text that was not the undisturbed one. */
  failures: string[];
};

/** Runs the schedules of the seeds from `firstSeed` on. Throws StartError where the replicas do not start. */
export async function checkFaults(
  count: number,
  firstSeed: number,
  progress: (done: number) => void = () => {},
): Promise<FaultReport> {
  const key = newLinkKey();
  const env = { GRACE_MS: "0", LEASE_MS: "1000", SLOTS: "8" };
  const start = () => startTinyVerifiers(1, REGIME, env, key);
  const replicas = [await start(), await start()];
  const report: FaultReport = { schedules: 0, restarts: 0, connections: 0, retries: 0, failures: [] };
  const texts = new Map<string, readonly number[]>();
  let isOver = false;
  let restarting: Promise<void> | undefined;
  let next = firstSeed;
  const work = async () => {
    while (next < firstSeed + count) {
      const schedule = drawFaultSchedule(next++);
      const failure = await runSchedule(schedule, replicas, texts.get(nameOf(schedule))!, report);
      if (failure) report.failures.push(`seed ${schedule.seed}: ${failure}`);
      progress(++report.schedules);
    }
  };
  try {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const schedule = drawFaultSchedule(seed);
      if (!texts.has(nameOf(schedule)))
        texts.set(nameOf(schedule), await undisturbed(schedule, replicas[0]!));
    }
    restarting = restartInTurn(replicas, start, report, () => isOver);
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    isOver = true;
    await restarting;
    for (const replica of replicas) await replica.stop();
  }
  return report;
}

const nameOf = ({ promptIds, temperature }: FaultSchedule): string => `${temperature}: ${promptIds.join()}`;
const settingsOf = (
  { promptIds, temperature }: FaultSchedule,
  { target }: BenchVerifiers,
): SessionSettings => ({
  ...{ target, prompt: promptIds, maxTokens: FAULT_TOKENS, seed: "7", temperature },
});

async function undisturbed(schedule: FaultSchedule, replica: BenchVerifiers): Promise<readonly number[]> {
  const link = ownNodeLink(replica.ports[0]!, replica.key);
  return (await runSession(settingsOf(schedule, replica), [link], undefined)).ids;
}

/** What is wrong with the text, if anything. */
async function runSchedule(
  schedule: FaultSchedule,
  replicas: readonly BenchVerifiers[],
  text: readonly number[],
  report: FaultReport,
): Promise<string | undefined> {
  const networks = await Promise.all(
    replicas.map(({ ports }, i) => {
      const to = { host: "127.0.0.1", port: ports[0]! };
      return NetworkProxy.listen({ to, conditions: schedule.networks[i]!, seed: schedule.seed });
    }),
  );
  const timers = schedule.faults.map((fault) =>
    setTimeout(() => strike(networks[fault.replica]!, fault), fault.atMs),
  );
  const { key } = replicas[0]!;
  const links = networks.map((network) => ownNodeLink(network.port, key, SILENCE_MS));
  const settings = settingsOf(schedule, replicas[0]!);
  try {
    for (let tries = 1; ; tries++) {
      const drafter = drafterFor(schedule, text, settings);
      try {
        const { ids } = await runSession(settings, [...links, ...links], drafter);
        return ids.join() === text.join() ? undefined : `${ids.join(" ")}, not ${text.join(" ")}`;
      } catch (error) {
        if (!(error instanceof SessionFailed)) throw error;
        if (tries === MOST_TRIES) return `after ${tries} tries: ${error}`;
        report.retries++;
        await sleep(RETRY_AFTER_MS);
      }
    }
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const network of networks) report.connections += network.traffic.connections;
    await Promise.all(networks.map((network) => network.close()));
  }
}

function strike(network: NetworkProxy, fault: Fault): void {
  switch (fault.kind) {
    case "cut":
      network.cut();
      break;
    case "half-open":
      network.halfOpen();
      break;
    case "stall":
      network.stall(fault.forMs);
      break;
    case "network":
      network.conditions = fault.conditions;
      break;
    case "away":
      network.refuse(true);
      network.cut();
      setTimeout(() => network.refuse(false), fault.forMs);
  }
}

function drafterFor(
  { drafting, seed, promptIds }: FaultSchedule,
  text: readonly number[],
  { target: { vocabulary } }: SessionSettings,
): Drafter | undefined {
  if (drafting === "off") return undefined;
  if (drafting === "adversarial") return new HostileDrafter("adversarial", promptIds, vocabulary);
  const known = [...promptIds, ...text];
  const truth = { text: known, verdicts: drawVerdicts(ORACLE_ALPHA, known.length, seed), vocabulary };
  const oracle = new OracleSource(truth, ORACLE_ALPHA, REGIME.draftMs, new Schedule());
  return new PortfolioDrafter(promptIds, FAULT_TOKENS, [new Lookup(), oracle]);
}

/** Stops one replica after the other, each only when the one before is back. */
async function restartInTurn(
  replicas: BenchVerifiers[],
  start: () => Promise<BenchVerifiers>,
  report: FaultReport,
  isOver: () => boolean,
): Promise<void> {
  for (let turn = 0; ; turn = 1 - turn) {
    for (let waited = 0; waited < RESTART_EVERY_MS; waited += 100) {
      if (isOver()) return;
      await sleep(100);
    }
    await replicas[turn]!.stop();
    replicas[turn] = await start();
    report.restarts++;
  }
}
