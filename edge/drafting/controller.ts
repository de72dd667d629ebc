/**
 * What a guess is worth: the share of guesses of the same source and grade that came true in this request.
 *
 * It counts and asks no clock: in production clocks stand still while the isolate computes.
 */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import { GRADES } from "./source.ts";

/** Shares to begin with, by grade, and how many guesses they weigh as much as. */
const PRIORS: Partial<Record<HintSource, readonly number[]>> = {
  lookup: [0.35, 0.6, 0.75, 0.8, 0.85, 0.9],
  model: [0.15, 0.4, 0.55, 0.65, 0.75, 0.92],
};
const UNKNOWN_PRIOR = 0.5;
const PRIOR_WEIGHT = 6;
/** Older counts fade, so that the text may change its nature: the newest 64 or so decide. */
const MEMORY = 64;

type Count = { right: number; all: number };

export class Controller {
  readonly #counts = new Map<HintSource, Count[]>();

  /** The chance that a guess comes true, given that all before it did. */
  chance(source: HintSource, grade: number): number {
    const { right, all } = this.#count(source, grade);
    return right / all;
  }

  /** Takes note of a guess whose position is confirmed by now. */
  learn(source: HintSource, grade: number, cameTrue: boolean): void {
    const count = this.#count(source, grade);
    if (count.all >= MEMORY) {
      count.right *= 1 - 1 / MEMORY;
      count.all *= 1 - 1 / MEMORY;
    }
    count.all++;
    if (cameTrue) count.right++;
  }

  #count(source: HintSource, grade: number): Count {
    let counts = this.#counts.get(source);
    if (!counts) {
      counts = Array.from({ length: GRADES }, (_, g) => ({
        right: PRIOR_WEIGHT * (PRIORS[source]?.[g] ?? UNKNOWN_PRIOR),
        all: PRIOR_WEIGHT,
      }));
      this.#counts.set(source, counts);
    }
    return counts[Math.min(grade, GRADES - 1)]!;
  }
}
