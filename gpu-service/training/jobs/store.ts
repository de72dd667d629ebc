/**
 * Jobs on disk (SQLite, WAL). Every change of state is one statement that names the state it expects, so two
 * services on one store never both run a job.
 */
import type { Gate, Job, Progress } from "../../protocol/jobs.ts";
import { publicView, type StoredJob } from "./job-row.ts";
import { type JobEntry, JobTable } from "./job-table.ts";

export class JobStore {
  readonly #table: JobTable;
  readonly #now: () => Date;

  constructor(path: string, now: () => Date = () => new Date()) {
    this.#table = new JobTable(path);
    this.#now = now;
  }

  /** Adds a job, or returns the one that has the same idempotency key. */
  add(job: JobEntry): { job: Job; created: boolean } {
    const created = this.#table.insert(job, this.#stamp());
    const stored = created ? this.get(job.id) : this.findByKey(job.idempotency_key ?? "");
    if (!stored) throw new Error(`jobs store: job ${job.id} was neither added nor found`);
    return { job: stored, created };
  }

  get(id: string): Job | undefined {
    const row = this.find(id);
    return row && publicView(row);
  }

  find(id: string): StoredJob | undefined {
    return this.#table.one("SELECT * FROM jobs WHERE id = ?", id);
  }

  findByKey(key: string): Job | undefined {
    const row = this.#table.one("SELECT * FROM jobs WHERE idempotency_key = ?", key);
    return row && publicView(row);
  }

  /** Newest first. */
  list(limit: number): Job[] {
    return this.#table.all("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", limit).map(publicView);
  }

  countByState(): Record<string, number> {
    return this.#table.countByState();
  }

  /** Makes the oldest queued job this owner's; `undefined` when none waits. */
  claim(owner: string): StoredJob | undefined {
    return this.#table.one(
      `UPDATE jobs SET state = 'running', owner = ?, attempts = attempts + 1, started = COALESCE(started, ?)
       WHERE number = (SELECT number FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1) AND state = 'queued'
       RETURNING *`,
      owner,
      this.#stamp(),
    );
  }

  /** Takes over a running job whose owner is gone; `undefined` when another service was faster. */
  takeOver(id: string, deadOwner: string | null, owner: string): StoredJob | undefined {
    return this.#table.one(
      "UPDATE jobs SET owner = ? WHERE id = ? AND state = 'running' AND owner IS ? RETURNING *",
      owner,
      id,
      deadOwner,
    );
  }

  running(): StoredJob[] {
    return this.#table.all("SELECT * FROM jobs WHERE state = 'running' ORDER BY number");
  }

  setProcess(id: string, process: string | null): void {
    this.#table.run("UPDATE jobs SET process = ? WHERE id = ?", process, id);
  }

  setProgress(id: string, progress: Progress): void {
    this.#table.run("UPDATE jobs SET progress = ? WHERE id = ?", JSON.stringify(progress), id);
  }

  setGates(id: string, gates: readonly Gate[]): void {
    this.#table.run("UPDATE jobs SET gates = ? WHERE id = ?", JSON.stringify(gates), id);
  }

  /** A queued job is cancelled at once; a running one by its runner. `undefined` when there is no such job. */
  requestCancel(id: string): Job | undefined {
    this.#table.run("UPDATE jobs SET cancel_requested = 1 WHERE id = ? AND state = 'running'", id);
    this.#table.run(
      "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'",
      this.#stamp(),
      id,
    );
    return this.get(id);
  }

  /**
   * Notes that the job's trainer was lost at this point (any number that grows on the way); returns how often it has
   * been lost there, or before, in a row. Getting further begins the count anew.
   */
  noteLoss(id: string, at: number): number {
    const row = this.#table.one(
      `UPDATE jobs SET attempts = CASE WHEN ? > lost_at THEN 1 ELSE attempts END, lost_at = MAX(lost_at, ?)
       WHERE id = ? RETURNING *`,
      at,
      at,
      id,
    );
    return row?.attempts ?? 0;
  }

  /** Puts a running job back, so that it goes on from its last checkpoint. `isFailure`: counts as an attempt. */
  requeue(id: string, isFailure: boolean): void {
    this.#table.run(
      `UPDATE jobs SET state = 'queued', owner = NULL, process = NULL, attempts = attempts - ?
       WHERE id = ? AND state = 'running'`,
      isFailure ? 0 : 1,
      id,
    );
  }

  finish(id: string, state: "succeeded" | "failed" | "cancelled", error: string | null = null): void {
    this.#table.run(
      `UPDATE jobs SET state = ?, error = ?, finished = ?, owner = NULL, process = NULL
       WHERE id = ? AND state = 'running'`,
      state,
      error,
      this.#stamp(),
      id,
    );
  }

  close(): void {
    this.#table.close();
  }

  #stamp(): string {
    return this.#now().toISOString();
  }
}
