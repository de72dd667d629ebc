/**
 * How often hints come true: counts per source and place in the block, recent evidence weighing most.
 *
 * Evidence is free: every committed token tells whether the hint that waited for its position was right,
 * whether or not a row was spent on it. So a source that was given up is noticed when it gets better.
 * A place of which little is known is believed to be like the source's others: a source that is always right
 * soon has long blocks run.
 */
import type { HintSource } from "../../protocol/frames.ts";

/** Places from this one on share their counts. */
const PLACES = 8;
/** Weight of what is believed beforehand, in observations. */
const PRIOR_WEIGHT = 3;
const FIRST_BELIEFS: Record<HintSource, number> = {
  model: 0.6,
  lookup: 0.6,
  memory: 0.8,
  prediction: 0.8,
  guess: 0.5,
};
/** Each new observation lets the earlier ones fade by this factor (half after about 45). */
const FADE = 0.985;

class Count {
  tried = 0;
  came = 0;

  add(came: boolean): void {
    this.tried = this.tried * FADE + 1;
    this.came = this.came * FADE + (came ? 1 : 0);
  }

  /** The share that came true, where `belief` stands for what is not known of it. */
  rate(belief: number): number {
    return (this.came + belief * PRIOR_WEIGHT) / (this.tried + PRIOR_WEIGHT);
  }
}
type Counts = { all: Count; places: readonly Count[] };

export class Acceptance {
  readonly #bySource = new Map<HintSource, Counts>();
  readonly #prior: Acceptance | undefined;

  /** `prior`: what is known of all sequences together; observations are passed on to it. */
  constructor(prior?: Acceptance) {
    this.#prior = prior;
  }

  /** Chance that the id at `place` of a block (0: the first after the committed text) is right if all before are. */
  rate(source: HintSource, place: number): number {
    const belief = this.#prior ? this.#prior.rate(source, place) : FIRST_BELIEFS[source];
    const counts = this.#bySource.get(source);
    if (!counts) return belief;
    return counts.places[Math.min(place, PLACES - 1)]!.rate(counts.all.rate(belief));
  }

  observe(source: HintSource, place: number, came: boolean): void {
    let counts = this.#bySource.get(source);
    if (!counts) {
      counts = { all: new Count(), places: Array.from({ length: PLACES }, () => new Count()) };
      this.#bySource.set(source, counts);
    }
    counts.all.add(came);
    counts.places[Math.min(place, PLACES - 1)]!.add(came);
    this.#prior?.observe(source, place, came);
  }
}
