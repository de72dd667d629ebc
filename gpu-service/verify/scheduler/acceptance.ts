/**
 * How often hints come true: counts per source and place in the block, recent evidence weighing most.
 *
 * Evidence is free: every committed token tells whether the hint that waited for its position was right,
 * whether or not a row was spent on it. So a source that was given up is noticed when it gets better.
 */
import type { HintSource } from "../../protocol/frames.ts";

/** Places from this one on share their counts. */
const PLACES = 8;
/** Weight of what is believed beforehand, in observations. */
const PRIOR_WEIGHT = 3;
const FIRST_BELIEF = 0.6;
/** Each new observation lets the earlier ones fade by this factor (half after about 45). */
const FADE = 0.985;

type Counts = { tried: Float64Array; came: Float64Array };

export class Acceptance {
  readonly #bySource = new Map<HintSource, Counts>();
  readonly #prior: Acceptance | undefined;

  /** `prior`: what is known of all sequences together; observations are passed on to it. */
  constructor(prior?: Acceptance) {
    this.#prior = prior;
  }

  /** Chance that the id at `place` of a block (0: the first after the committed text) is right if all before are. */
  rate(source: HintSource, place: number): number {
    const at = Math.min(place, PLACES - 1);
    const prior = this.#prior ? this.#prior.rate(source, at) : FIRST_BELIEF;
    const counts = this.#bySource.get(source);
    if (!counts) return prior;
    return (counts.came[at]! + prior * PRIOR_WEIGHT) / (counts.tried[at]! + PRIOR_WEIGHT);
  }

  observe(source: HintSource, place: number, came: boolean): void {
    let counts = this.#bySource.get(source);
    if (!counts) {
      counts = { tried: new Float64Array(PLACES), came: new Float64Array(PLACES) };
      this.#bySource.set(source, counts);
    }
    const at = Math.min(place, PLACES - 1);
    counts.tried[at] = counts.tried[at]! * FADE + 1;
    counts.came[at] = counts.came[at]! * FADE + (came ? 1 : 0);
    this.#prior?.observe(source, place, came);
  }
}
