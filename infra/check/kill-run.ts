/**
 * A training service under fire: its process and its trainers are killed (SIGKILL) at random moments while jobs run
 * and are published; it is started again each time. What must come out is for the caller to say.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  isFinished,
  type Job,
  jobListSchema,
  jobSchema,
  type NewJob,
} from "../../gpu-service/protocol/jobs.ts";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { NODE, ROOT } from "../start/paths.ts";

const READY_MS = 180_000;
const FINISH_MS = 600_000;
const POLL_MS = 50;
/** Of the kills; the others strike the service. */
const TRAINERS_SHARE = 0.5;

export type KillPlan = {
  /** The service's environment: TRAINING_PORT, TRAINING_TOKEN and TRAINING_DATA at least. */
  env: Record<string, string>;
  kills: number;
  /** From one kill to the next: at least, at most. */
  pauseMs: readonly [number, number];
  /** In [0, 1). */
  random: () => number;
  /** The job to post when the one before has finished. */
  job(number: number): NewJob;
  say?: (line: string) => void;
};
export type KillReport = { killed: { service: number; trainer: number }; jobs: Job[] };

/** Throws an Error with the service's log where it does not come up again, or a job does not finish. */
export async function runKills(plan: KillPlan): Promise<KillReport> {
  const service = new Service(plan.env);
  const store = new JobStore(join(plan.env.TRAINING_DATA!, "jobs.sqlite"));
  const killed = { service: 0, trainer: 0 };
  try {
    await service.start();
    for (let kill = 0; kill < plan.kills; kill++) {
      await service.keepBusy(plan.job);
      const [least, most] = plan.pauseMs;
      await sleep(least + plan.random() * (most - least));
      const running = store.running()[0];
      const isTrainer = plan.random() < TRAINERS_SHARE;
      // Three losses in a row at one place fail a job, as they should.
      if (running?.process && running.attempts < 3 && isTrainer) {
        killTrainer(running.process);
        killed.trainer++;
      } else {
        await service.kill();
        killed.service++;
        await service.start();
      }
      plan.say?.(`${kill + 1} of ${plan.kills} kills, ${store.list(1_000).length} jobs`);
    }
    const jobs = await service.untilFinished();
    await service.stop();
    return { killed, jobs };
  } finally {
    await service.kill();
    store.close();
  }
}

/** By its identity, "PID@START"; it may be gone already. */
function killTrainer(identity: string): void {
  try {
    process.kill(Number.parseInt(identity, 10), "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}

class Service {
  readonly #env: Record<string, string>;
  readonly #logPath: string;
  #child: ChildProcess | undefined;
  #posted = 0;

  constructor(env: Record<string, string>) {
    this.#env = env;
    this.#logPath = `${env.TRAINING_DATA}.log`;
  }

  async start(): Promise<void> {
    const log = openSync(this.#logPath, "a");
    const args = ["--disable-warning=ExperimentalWarning", join(ROOT, "gpu-service/training/main.ts")];
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...this.#env };
    this.#child = spawn(NODE, args, { stdio: ["ignore", log, log], env });
    closeSync(log);
    for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      if ((await fetch(`${this.#address}/readyz`).catch(() => null))?.ok) return;
    }
    throw this.#failed("is not ready");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Posts the next job when none is left to do. The key makes a post that was cut off harmless. */
  async keepBusy(job: (number: number) => NewJob): Promise<void> {
    const { data } = jobListSchema.parse(await this.#ask(""));
    if (data.some(({ state }) => !isFinished(state))) return;
    const wish = { ...job(++this.#posted), idempotency_key: `kills-${this.#posted}` };
    jobSchema.parse(await this.#ask("", { method: "POST", body: JSON.stringify(wish) }));
  }

  async untilFinished(): Promise<Job[]> {
    for (const deadline = Date.now() + FINISH_MS; Date.now() < deadline; await sleep(POLL_MS)) {
      const { data } = jobListSchema.parse(await this.#ask(""));
      if (data.every(({ state }) => isFinished(state))) return data.reverse();
    }
    throw this.#failed("does not finish its jobs");
  }

  get #address(): string {
    return `http://127.0.0.1:${this.#env.TRAINING_PORT}`;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  }

  async #ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const headers = {
      authorization: `Bearer ${this.#env.TRAINING_TOKEN}`,
      "content-type": "application/json",
    };
    const response = await fetch(`${this.#address}/v1/jobs${path}`, { ...init, headers });
    if (!response.ok) throw this.#failed(`answered ${response.status}: ${await response.text()}`);
    return response.json();
  }

  #failed(what: string): Error {
    return new Error(`the training service ${what}:\n${readFileSync(this.#logPath, "utf8").slice(-4_000)}`);
  }
}
