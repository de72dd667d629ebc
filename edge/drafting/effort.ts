/**
 * How many ids can be drafted in the time of one step of the verifier: what an id costs, seen against what it may save.
 *
 * Learnt by counting between two of the verifier's frames; no clock is asked. Where many requests share the isolate,
 * or the target is nearly as quick as the draft, there are few, and only what is likely to be reached is worth one.
 */

/** Weight of the newest observation. */
const GAIN = 0.15;
const FIRST_BELIEF = 16;
/** An id is drafted where the chance that the text reaches it is at least this share of a step's worth of drafting. */
const LEAST_SHARE = 0.6;

export class Effort {
  #perStep = FIRST_BELIEF;
  #drafted = 0;
  #wasIdle = false;

  /** The chance of being reached at which an id is worth drafting. */
  get leastReach(): number {
    return LEAST_SHARE / this.#perStep;
  }

  drafted(): void {
    this.#drafted++;
  }

  /** There was nothing worth drafting for a while: a step has room for more than was drafted. */
  idle(): void {
    this.#wasIdle = true;
  }

  /** A frame came. Frames of one step come together: nothing is drafted between them. */
  confirmed(): void {
    if (this.#drafted > 0 && (!this.#wasIdle || this.#drafted > this.#perStep))
      this.#perStep += GAIN * (this.#drafted - this.#perStep);
    this.#drafted = 0;
    this.#wasIdle = false;
  }
}
