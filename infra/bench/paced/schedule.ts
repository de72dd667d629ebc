/** Emulated work: it takes the time that it should on average, though timers are only good to a millisecond. */
import { setTimeout as sleep } from "node:timers/promises";

/** Less than this is not slept but owed. */
const LEAST_SLEEP_MS = 0.5;
/** Lateness beyond this is not the timer's: it is not made good. */
const MOST_OWED_MS = 2;

export class Schedule {
  /** Milliseconds that earlier work took too long. */
  #lateMs = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  readonly #pauseMs: number;

  /** Work that follows other work within `pauseMs` makes up for its lateness; after a longer pause there is none. */
  constructor(pauseMs = MOST_OWED_MS) {
    this.#pauseMs = pauseMs;
  }

  /** Is busy for `ms`. One caller at a time. */
  async spend(ms: number): Promise<void> {
    const now = performance.now();
    const late = now - this.#endedAt < this.#pauseMs ? this.#lateMs : Math.min(0, this.#lateMs);
    const end = now + ms - late;
    const wait = end - now;
    if (wait >= LEAST_SLEEP_MS) await sleep(Math.max(1, Math.round(wait)));
    this.#endedAt = performance.now();
    this.#lateMs = Math.min(MOST_OWED_MS, this.#endedAt - end);
  }
}
