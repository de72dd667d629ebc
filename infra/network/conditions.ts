/** What a stretch of network does to bytes, as a pure rule: when does what arrived now come out at the far end. */

export type Conditions = {
  /** Each way: half of the round trip. */
  delayMs: number;
  /** Up to so much more, drawn evenly for each chunk. */
  jitterMs: number;
  /** Each way; 0: without bound. */
  kbitPerS: number;
  /** Chance that a chunk is lost. TCP sends it again, so that a loss is a stall of all behind it. */
  lossShare: number;
  /** How long a loss holds everything up: about a round trip and TCP's timer. */
  lossStallMs: number;
};

export const PERFECT: Conditions = {
  delayMs: 0,
  jitterMs: 0,
  kbitPerS: 0,
  lossShare: 0,
  lossStallMs: 200,
};

/** One direction of one connection. It keeps the order of bytes whatever the conditions are. */
export class Way {
  readonly #random: () => number;
  /** When the line is free to take more bytes. */
  #lineFreeAt = 0;
  /** Nothing comes out before what came before it. */
  #lastOutAt = 0;

  /** `random`: even in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** When `bytes` that arrive at `now` come out. Milliseconds of any monotonic clock. */
  outAt(now: number, bytes: number, conditions: Conditions): number {
    const { delayMs, jitterMs, kbitPerS, lossShare, lossStallMs } = conditions;
    // kbit/s are bits per millisecond.
    const sendingMs = kbitPerS > 0 ? (bytes * 8) / kbitPerS : 0;
    this.#lineFreeAt = Math.max(now, this.#lineFreeAt) + sendingMs;
    const jitter = jitterMs > 0 ? this.#random() * jitterMs : 0;
    const stall = lossShare > 0 && this.#random() < lossShare ? lossStallMs : 0;
    this.#lastOutAt = Math.max(this.#lastOutAt, this.#lineFreeAt + delayMs + jitter + stall);
    return this.#lastOutAt;
  }

  /** Nothing comes out before `time`. */
  stallUntil(time: number): void {
    this.#lastOutAt = Math.max(this.#lastOutAt, time);
  }
}
