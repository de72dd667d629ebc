/**
 * How the sequences of one engine share the isolate's thread: all of them together work for at most one slice between
 * two turns of the event loop, in which the tokens of every request wait to be heard.
 *
 * Clocks stand still in an isolate and requests cannot wait for each other (one may be gone), so each pauses by itself
 * and counts who else had a turn meanwhile: timers that fire together are one turn of the event loop.
 */
export class Turns {
  readonly #sliceMacs: number;
  readonly #pause: () => Promise<void>;
  #taken = 0;
  #share: number;
  #left: number;

  /** `sliceMacs`: multiply-adds of a sequence that works alone. `pause`: lets other events of the isolate run. */
  constructor(sliceMacs: number, pause: () => Promise<void>) {
    this.#sliceMacs = sliceMacs;
    this.#pause = pause;
    this.#share = sliceMacs;
    this.#left = sliceMacs;
  }

  /** Multiply-adds that the latest turn was given. */
  get share(): number {
    return this.#share;
  }
  /** Those that whoever works now may still take; it waits for its next turn when there are none. */
  get left(): number {
    return this.#left;
  }

  spend(macs: number): void {
    this.#left -= macs;
  }

  /**
   * Resolves when the caller's next turn begins. A token passes several turns of the event loop on its way, and the
   * more sequences work the more tokens there are: n of them together take an n-th of a slice per turn. What the last
   * turn took too much (a pass's step is not divided) is made up for as far as others share the thread.
   */
  async next(): Promise<void> {
    const before = this.#taken;
    await this.#pause();
    this.#taken++;
    const sharers = this.#taken - before;
    this.#share = this.#sliceMacs / sharers ** 2;
    this.#left = Math.min(0, this.#left) * (1 - 1 / sharers) + this.#share;
  }
}
