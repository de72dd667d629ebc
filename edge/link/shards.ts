/**
 * Over how many link objects this isolate spreads its requests to one replica: one more when one of them is half full,
 * one fewer when they are nearly empty. What each answered last is all that is known of them.
 */
const MAX_SHARDS = 8;
const HALF_FULL = 0.5;
const NEARLY_EMPTY = 0.1;

export class Shards {
  readonly #random: () => number;
  #count = 1;

  /** `random`: 0 ≤ x < 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  get count(): number {
    return this.#count;
  }

  pick(): number {
    return Math.floor(this.#random() * this.#count);
  }

  /** `load`: the share of its streams that shard `shard` had in use. */
  note(shard: number, load: number): void {
    if (load >= HALF_FULL) this.#count = Math.min(MAX_SHARDS, Math.max(this.#count, shard + 2));
    else if (load < NEARLY_EMPTY && shard === this.#count - 1) this.#count = Math.max(1, shard);
  }
}
