/**
 * Events that are still to be told: a job has come into a state. The store's own trigger writes them, with the change
 * itself; here they are taken out in order, one at a time, until each has been taken by whom it is for.
 */
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { JobEvent } from "../../protocol/job-events.ts";
import { jobState } from "../../protocol/jobs.ts";
import { openTables } from "../jobs/schema.ts";

const rowSchema = z.object({
  number: z.number(),
  job: z.string(),
  state: jobState,
  release: z.string(),
  time: z.string(),
  tries: z.number(),
});
export type Waiting = {
  number: number;
  /** How often it was tried before. */
  tries: number;
  event: JobEvent;
};

export class Outbox {
  readonly #db: DatabaseSync;

  /** `path`: that of the job store. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    openTables(this.#db);
  }

  /**
   * The oldest event, if its time has come, for whoever asks alone until `leaseMs` have passed: two services on one
   * store do not both send it. Later ones wait behind it.
   */
  take(nowMs: number, leaseMs: number): Waiting | undefined {
    const row = this.#db
      .prepare(
        `UPDATE outbox SET next_try = ?, tries = tries + 1
         WHERE number = (SELECT MIN(number) FROM outbox) AND next_try <= ? RETURNING *`,
      )
      .get(nowMs + leaseMs, nowMs);
    if (row === undefined) return undefined;
    const { number, tries, ...event } = rowSchema.parse(row);
    return { number, tries: tries - 1, event: { id: `${event.job}-${number}`, ...event } };
  }

  /** It was taken by the other side, and is forgotten here. */
  settle(number: number): void {
    this.#db.prepare("DELETE FROM outbox WHERE number = ?").run(number);
  }

  /** It was not taken: again at that time. */
  postpone(number: number, untilMs: number): void {
    this.#db.prepare("UPDATE outbox SET next_try = ? WHERE number = ?").run(untilMs, number);
  }

  /** Forgets what nobody wanted to know for so long. */
  forgetBefore(time: Date): void {
    this.#db.prepare("DELETE FROM outbox WHERE time < ?").run(time.toISOString());
  }

  get size(): number {
    return Number(this.#db.prepare("SELECT COUNT(*) AS n FROM outbox").get()?.n);
  }

  close(): void {
    this.#db.close();
  }
}
