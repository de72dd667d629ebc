/**
 * Gathers what the isolate's completions add up to and sends it in batches: a completion never waits for it. What an
 * isolate that is ended had not sent yet is lost.
 */
import type { AcceptanceRow, ServedRow } from "../../gpu-service/protocol/statistics.ts";
import { type Counted, Tally } from "./tally.ts";

/** `id`: a batch that arrives twice counts once. */
export type StatisticsBatch = { id: string; acceptance: AcceptanceRow[]; served: ServedRow[] };
export type Sending = {
  send(batch: StatisticsBatch): Promise<void>;
  /** The request's waitUntil. */
  keepAlive(work: Promise<unknown>): void;
};

export const FLUSH_AFTER_MS = 2_000;
const MAX_COMPLETIONS = 64;
/** A flush that is so late was part of a request that the runtime has ended. */
const LOST_AFTER_MS = 5_000;
const TRIES = 3;
const WAIT_MS = 500;

export class StatisticsBatcher {
  #tally = new Tally();
  #dueAt: number | undefined;
  readonly #wait: (ms: number) => Promise<unknown>;

  constructor(wait: (ms: number) => Promise<unknown> = (ms) => new Promise((done) => setTimeout(done, ms))) {
    this.#wait = wait;
  }

  add(counted: Counted, sending: Sending): void {
    this.#tally.add(counted);
    const now = Date.now();
    const isLost = this.#dueAt !== undefined && now > this.#dueAt + LOST_AFTER_MS;
    if (isLost || this.#tally.completions >= MAX_COMPLETIONS) {
      sending.keepAlive(this.#flush(sending));
    } else if (this.#dueAt === undefined) {
      this.#dueAt = now + FLUSH_AFTER_MS;
      sending.keepAlive(this.#wait(FLUSH_AFTER_MS).then(() => this.#flush(sending)));
    }
  }

  /** Never rejects. */
  async #flush({ send }: Sending): Promise<void> {
    const { acceptance, served, completions } = this.#tally;
    this.#tally = new Tally();
    this.#dueAt = undefined;
    if (completions === 0) return;
    const batch = { id: crypto.randomUUID(), acceptance, served };
    for (let attempt = 1; ; attempt++) {
      try {
        return await send(batch);
      } catch (error) {
        if (attempt === TRIES) {
          const message = "statistics of some completions were lost";
          console.warn(JSON.stringify({ level: "warn", message, completions, error: String(error) }));
          return;
        }
        await this.#wait(WAIT_MS * attempt);
      }
    }
  }
}
