/** The training service's own program, to be killed and started again. */
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
import { NODE, ROOT } from "../../infra/start/paths.ts";

const READY_MS = 180_000;
const FINISH_MS = 200_000;
const POLL_MS = 50;

export class TrainingService {
  readonly #env: Record<string, string>;
  readonly #logPath: string;
  #child: ChildProcess | undefined;
  #posted = 0;

  /** `env`: TRAINING_PORT, TRAINING_TOKEN and TRAINING_DATA at least. */
  constructor(env: Record<string, string>) {
    this.#env = env;
    this.#logPath = `${env.TRAINING_DATA}.log`;
  }

  /** Throws an Error with the service's log where it does not come up. */
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

  /** Oldest first. */
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
