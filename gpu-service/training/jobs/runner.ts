/**
 * Runs queued jobs, one at a time: train, ask the gates, then publish.
 *
 * What is needed to go on after a crash is on disk before it is needed: the owner with the claim, the trainer's
 * process with its start, the release by its manifest. A job that was publishing publishes again: that is idempotent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Gate } from "../../protocol/jobs.ts";
import { GatesError, refusal } from "../gates/gates.ts";
import { isComplete, type Launcher, SetupError, type TrainingTask } from "../launchers/launcher.ts";
import { InputsError, type JobInputs, startAnew } from "../traffic/job-inputs.ts";
import type { JobFolders } from "./folders.ts";
import type { StoredJob } from "./job-row.ts";
import type { Recipes } from "./recipes.ts";
import type { JobStore } from "./store.ts";
import { train } from "./train.ts";

const POLL_MS = 300;
const STORE_RETRY_MS = 2_000;
/** Attempts in a row in which a job gets no further. */
const MAX_ATTEMPTS = 3;
/** More than any stage has. */
const STEPS_OF_A_STAGE = 1e9;

export type RunnerParts = {
  store: JobStore;
  folders: JobFolders;
  recipes: Recipes;
  launcher: Launcher;
  /** What jobs learn from besides their recipes. */
  inputs: Pick<JobInputs, "fetch" | "isStale">;
  /** What the gates say of a finished release. Throws GatesError when they cannot be asked. */
  judge(job: StoredJob, task: TrainingTask, signal: AbortSignal): Promise<Gate[]>;
  /** Publishes a finished release, as the job wants it. Idempotent. */
  publish(job: StoredJob, folder: string, signal: AbortSignal): Promise<void>;
  /** Identity of this service's process, and whether another's still runs. */
  owner: string;
  isRunning(identity: string): boolean;
  log: { info(fields: object, text: string): void; error(fields: object, text: string): void };
};

type Ended =
  | { kind: "succeeded" }
  | { kind: "failed"; message: string }
  | { kind: "cancelled" }
  | { kind: "again"; message: string; isFailure: boolean };

export class JobRunner {
  readonly #parts: RunnerParts;
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#loop) throw new Error("JobRunner.start: called twice");
    this.#loop = this.#run();
  }

  /** Ends the running trainer and puts its job back into the queue. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        const job = this.#takeAbandoned() ?? this.#parts.store.claim(this.#parts.owner);
        if (job) await this.#work(job);
        else await this.#pause(POLL_MS);
      } catch (error) {
        // The store itself failed (a full disk): nothing is lost, the job is still there when it works again.
        this.#parts.log.error({ err: error }, "the job store failed");
        await this.#pause(STORE_RETRY_MS);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  /** A running job that nobody runs: its service was killed, or this one failed to note how it ended. */
  #takeAbandoned(): StoredJob | undefined {
    const { store, owner, isRunning } = this.#parts;
    for (const job of store.running()) {
      if (job.owner !== null && job.owner !== owner && isRunning(job.owner)) continue;
      const taken = store.takeOver(job.id, job.owner, owner);
      if (taken) return taken;
    }
    return undefined;
  }

  async #work(job: StoredJob): Promise<void> {
    const { store, log } = this.#parts;
    log.info({ job: job.id, recipe: job.recipe, attempt: job.attempts }, "job begins");
    const stop = new AbortController();
    const watch = setInterval(() => {
      if (this.#closing.signal.aborted || store.find(job.id)?.cancel_requested) stop.abort();
    }, POLL_MS);
    try {
      const ended = await this.#attempt(job, stop.signal).catch((error: unknown) =>
        this.#explain(job, error, stop),
      );
      this.#settle(job, ended);
    } finally {
      clearInterval(watch);
    }
  }

  async #attempt(job: StoredJob, signal: AbortSignal): Promise<Ended> {
    const task = this.#parts.folders.open(job.id, job.recipe_json ?? this.#parts.recipes.read(job.recipe));
    if (!isComplete(task)) {
      const end = await train(this.#parts, job, task, signal);
      if (end.kind === "refused") return { kind: "failed", message: end.message };
      if (end.kind === "lost") return { kind: "again", message: end.message, isFailure: true };
    }
    if (await this.#parts.inputs.isStale(job, task)) {
      startAnew(task);
      return { kind: "again", message: "captured requests were deleted meanwhile", isFailure: false };
    }
    if (job.publish === "no") return { kind: "succeeded" };
    if (!isComplete(task)) {
      return {
        kind: "failed",
        message: `recipe ${job.recipe} makes no release: post it with "publish": "no"`,
      };
    }
    const refused = refusal(await this.#gates(job, task, signal));
    if (refused !== null) return { kind: "failed", message: refused };
    const { store } = this.#parts;
    store.setProgress(job.id, { stage: "publish", step: 0, steps: 1 });
    await this.#parts.publish(job, task.out, signal);
    store.setProgress(job.id, { stage: "publish", step: 1, steps: 1 });
    return { kind: "succeeded" };
  }

  /** Asked once: a job that was cut off while it published publishes what has passed. */
  async #gates(job: StoredJob, task: TrainingTask, signal: AbortSignal): Promise<Gate[]> {
    if (job.gates) return job.gates;
    this.#parts.store.setProgress(job.id, { stage: "gates", step: 0, steps: 1 });
    const gates = await this.#parts.judge(job, task, signal);
    this.#parts.store.setGates(job.id, gates);
    return gates;
  }

  #explain(job: StoredJob, error: unknown, stop: AbortController): Ended {
    if (stop.signal.aborted && this.#parts.store.find(job.id)?.cancel_requested) return { kind: "cancelled" };
    if (stop.signal.aborted) return { kind: "again", message: "the service stops", isFailure: false };
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof GatesError || error instanceof InputsError)
      return { kind: "again", message, isFailure: true };
    this.#parts.folders.say(job.id, message);
    if (!(error instanceof SetupError)) this.#parts.log.error({ job: job.id, err: error }, "job failed");
    return { kind: "failed", message };
  }

  /** How far a job is: stages, and steps of the one under way. */
  #reached({ id }: StoredJob): number {
    const step = this.#parts.store.get(id)?.progress?.step ?? 0;
    return this.#parts.folders.stagesDone(id) * STEPS_OF_A_STAGE + Math.min(step, STEPS_OF_A_STAGE - 1);
  }

  #settle(job: StoredJob, ended: Ended): void {
    const { store, folders, log } = this.#parts;
    const losses = ended.kind === "again" && ended.isFailure ? store.noteLoss(job.id, this.#reached(job)) : 0;
    if (ended.kind === "again" && losses < MAX_ATTEMPTS) {
      store.requeue(job.id, ended.isFailure);
    } else if (ended.kind === "again") {
      store.finish(job.id, "failed", `${ended.message} (${losses} times)`);
    } else if (ended.kind === "failed") {
      store.finish(job.id, "failed", ended.message);
    } else {
      store.finish(job.id, ended.kind);
      folders.discard(job.id, ended.kind === "cancelled");
    }
    log.info({ job: job.id, ...ended }, "job ends");
  }
}
