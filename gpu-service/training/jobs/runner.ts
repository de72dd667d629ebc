/**
 * Runs queued jobs, one at a time.
 *
 * What is needed to go on after a crash is on disk before it is needed: the owner with the claim, the trainer's
 * process with its start, the release by its manifest.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isFinished } from "../../protocol/jobs.ts";
import { type AttemptParts, attempt, type Ended } from "./attempt.ts";
import type { StoredJob } from "./job-row.ts";

const POLL_MS = 300;
/** Turns of the loop. */
const SWEEP_EVERY = 200;
const STORE_RETRY_MS = 2_000;
/** Before bucket and worker are asked again: the first time, and at most. */
const FIRST_AWAY_MS = 500;
const LONGEST_AWAY_MS = 60_000;
/** Attempts in a row in which a job gets no further. */
const MAX_ATTEMPTS = 3;
/** More than any stage has. */
const STEPS_OF_A_STAGE = 1e9;

export type RunnerParts = AttemptParts & {
  /** Identity of this service's process, and whether another's still runs. */
  owner: string;
  isRunning(identity: string): boolean;
};

export class JobRunner {
  readonly #parts: RunnerParts;
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;
  /** How often in a row bucket or worker did not answer. */
  #away = 0;

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
    for (let turn = 0; !this.#closing.signal.aborted; turn++) {
      try {
        if (turn % SWEEP_EVERY === 0) this.#sweep();
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

  /** Throws away the work of jobs that have ended: cancelled while they waited, or when their service was killed. */
  #sweep(): void {
    const { store, folders } = this.#parts;
    for (const id of folders.withWork()) {
      const job = store.find(id);
      if (job && isFinished(job.state)) folders.discard(id, job.state === "cancelled");
    }
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
      const ended = await attempt(this.#parts, job, stop.signal);
      this.#settle(job, ended);
      await this.#waitFor(ended);
    } finally {
      clearInterval(watch);
    }
  }

  /** Other jobs need bucket and worker as well, so all wait. */
  async #waitFor(ended: Ended): Promise<void> {
    const isAway = ended.kind === "again" && ended.why === "away";
    this.#away = isAway ? this.#away + 1 : 0;
    if (isAway) await this.#pause(Math.min(LONGEST_AWAY_MS, FIRST_AWAY_MS * 2 ** (this.#away - 1)));
  }

  /** How far a job is: stages, and steps of the one under way. */
  #reached({ id }: StoredJob): number {
    const step = this.#parts.store.get(id)?.progress?.step ?? 0;
    return this.#parts.folders.stagesDone(id) * STEPS_OF_A_STAGE + Math.min(step, STEPS_OF_A_STAGE - 1);
  }

  #settle(job: StoredJob, ended: Ended): void {
    const { store, folders, log } = this.#parts;
    const isFailure = ended.kind === "again" && ended.why === "failure";
    const losses = isFailure ? store.noteLoss(job.id, this.#reached(job)) : 0;
    if (ended.kind === "again" && losses < MAX_ATTEMPTS) {
      store.requeue(job.id, isFailure);
    } else {
      if (ended.kind === "again") store.finish(job.id, "failed", `${ended.message} (${losses} times)`);
      else if (ended.kind === "failed") store.finish(job.id, "failed", ended.message);
      else store.finish(job.id, ended.kind);
      // What was copied for the job goes with it, however it ended: it may hold captured requests.
      folders.discard(job.id, ended.kind === "cancelled");
    }
    log.info({ job: job.id, ...ended }, "job ends");
  }
}
