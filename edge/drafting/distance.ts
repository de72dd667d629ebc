/**
 * How far the verifier is ahead of what is drafted anew: the tokens that it confirms after a refusal before the first
 * hint of the new path is of use. Learnt from the frames alone; no clock is asked, and nothing known of the network.
 */

/** Weight of the newest observation. */
const GAIN = 0.35;
/** Rather too far: a hint too many costs less than one that is missing. */
const FIRST_BELIEF = 2;
/** Further off than this makes no difference. */
const FURTHEST = 8;

export class Distance {
  #tokens = FIRST_BELIEF;
  /** Right ids of the newest path confirmed since it began; undefined once one of its hints was of use. */
  #late: number | undefined = 0;

  get tokens(): number {
    return this.#tokens;
  }

  /** A new path begins. That no hint of the one before was of use says something if it was right for longer than expected. */
  began(): void {
    if (this.#late !== undefined && this.#late > this.#tokens) this.#observe(this.#late);
    this.#late = 0;
  }

  /** A frame came: so many ids in it had been foretold rightly, and hints had saved so many. */
  confirmed(foretold: number, accepted: number): void {
    if (this.#late === undefined) return;
    if (accepted > 0) {
      this.#observe(this.#late);
      this.#late = undefined;
    } else {
      this.#late += foretold;
    }
  }

  #observe(tokens: number): void {
    this.#tokens += GAIN * (Math.min(tokens, FURTHEST) - this.#tokens);
  }
}
