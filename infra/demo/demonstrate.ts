/**
 * The closed loop, once. Traffic of a domain that the draft does not know is served and captured; the schedule's tick
 * starts the chain; the draft is trained, passes the gates, serves as a canary, is compared and promoted. Requests of
 * the domain that nobody has captured judge it, before and after.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import type { Regime } from "../bench/paced/regime.ts";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { ensureTrainerPython } from "../check/setup.ts";
import { StartError } from "../start/errors.ts";
import { openDataFolder } from "../start/paths.ts";
import type { System } from "../start/system.ts";
import { capturedRequests, makeKey, type Operator, tick } from "./admin.ts";
import { prompts } from "./domain.ts";
import { type Judged, judge } from "./judge.ts";
import { type Phase, Phases } from "./phases.ts";
import { throughTheChain } from "./through-the-chain.ts";
import { type Books, type Customer, completeAll } from "./traffic.ts";

export type Demonstration = {
  before: Judged;
  after: Judged;
  /** Held-out requests, and how many of them got another text from the new draft: none, drafts are only hints. */
  held: number;
  changed: number;
  /** What the chain said at its end. */
  verdict: string;
  phases: Phase[];
  minutes: number;
  books: Books;
};

const TRAFFIC = 400;
const HELD = 48;
const AT_ONCE = 8;
/** The domain's prompts from here on are never captured. */
const HELD_FROM = 10_000;
const RETRAINING = { min_traffic: TRAFFIC, share: 0.5, min_requests: 40, looks: 3, poll_s: 3 };
const CAPTURE_TIMEOUT_MS = 60_000;
const UPTAKE_TIMEOUT_MS = 60_000;
/** So many requests in a row show that the release serves all of them, not a canary's half: but once in 4,096 times. */
const SHOWING = 12;
const NIGHTLY = "0 3 * * *";
/** The tiny target alone would be done before a hint could reach it. What is accepted does not depend on it. */
const STEP_MS = 10;
const REGIME: Regime = { label: `${STEP_MS} ms a step`, dilation: 1, draftMs: 0, stepMs: () => STEP_MS };

/** What is made once, such as the trainer's Python environment, is made before the time runs. Throws StartError. */
export async function demonstrate(say: (line: string) => void): Promise<Demonstration> {
  await ensureTrainerPython(openDataFolder(), say);
  const phases = new Phases(Date.now, say);
  const system = await startTemporarySystem({
    ...{ target: "tiny", retrainRecipe: "tiny-traffic", retraining: RETRAINING },
    ...{ regime: REGIME, verifierEnv: { SLOTS: String(AT_ONCE) } },
  });
  const folder = mkdtempSync(join(tmpdir(), "outrider-demo-"));
  const publisher = await openPublisher(system.publishing);
  try {
    phases.end("start");
    return await onceThrough({ system, publisher, folder, phases, say });
  } finally {
    publisher.close();
    rmSync(folder, { recursive: true, force: true });
    await system.stop();
  }
}

type Stage = {
  system: System;
  publisher: Publisher;
  /** For images. */
  folder: string;
  phases: Phases;
  say: (line: string) => void;
};

async function onceThrough({ system, publisher, folder, phases, say }: Stage): Promise<Demonstration> {
  const operator: Operator = { address: system.address, secret: system.secrets.admin };
  const customer = async (name: string, stored: boolean): Promise<Customer> => ({
    ...{ address: system.address, target: system.target, stored },
    key: await makeKey(operator, name, stored),
  });
  const [stranger, users] = [await customer("judge", false), await customer("users", true)];
  const books: Books = { completions: 0, failures: [] };
  const held = { prompts: prompts(HELD, HELD_FROM), atOnce: AT_ONCE, folder, books };

  const before = await judge(stranger, publisher, held);
  phases.end("judge the current release", `it foresees ${percent(before.judged.greedy)} of the held-out ids`);
  await completeAll(users, prompts(TRAFFIC), AT_ONCE, books);
  await until(
    async () => (await capturedRequests(operator)) >= TRAFFIC - books.failures.length,
    "traffic captured",
    CAPTURE_TIMEOUT_MS,
  );
  phases.end("traffic", `${TRAFFIC} requests served and captured`);

  await tick(operator, NIGHTLY, Date.now());
  const chain = await throughTheChain(operator, { customer: stranger, atOnce: AT_ONCE, books, phases, say });
  if (chain.state !== "promoted") throw new StartError(`the chain ended as ${chain.state}: ${chain.note}`);
  await until(
    async () => {
      const answers = await completeAll(stranger, held.prompts.slice(0, SHOWING), AT_ONCE, books);
      return answers.every((answer) => answer?.release === chain.release);
    },
    `${chain.release} serves`,
    UPTAKE_TIMEOUT_MS,
  );
  phases.end("uptake");
  const after = await judge(stranger, publisher, held);
  phases.end("judge the new release", `it foresees ${percent(after.judged.greedy)}`);
  return {
    ...{ before: before.judged, after: after.judged, held: HELD },
    changed: before.texts.filter((text, i) => text !== after.texts[i]).length,
    ...{ verdict: chain.note ?? "", phases: phases.done, minutes: phases.minutes, books },
  };
}

async function until(holds: () => Promise<boolean>, what: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new StartError(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(500);
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
