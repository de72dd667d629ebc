/**
 * What a guess is worth: the share of such guesses that came true in this request, by source, grade and place.
 *
 * It counts and asks no clock: in production clocks stand still while the isolate computes.
 * A grade of which little is known is judged by what its source's other grades turned out to be worth beside what was
 * believed of them, a place by its grade.
 */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import { classOf, GRADES } from "./source.ts";

/** Whether a count is of a source's guesses, or of its second choices where the first were refused. */
export type Rank = "first" | "second";

/** Shares to begin with, by grade. */
const PRIORS: Partial<Record<HintSource, readonly number[]>> = {
  lookup: [0.35, 0.6, 0.75, 0.8, 0.85, 0.9],
  model: [0.15, 0.4, 0.55, 0.65, 0.75, 0.92],
  memory: [0.4, 0.6, 0.75, 0.85, 0.92, 0.97],
  prediction: [0.4, 0.6, 0.8, 0.9, 0.95, 0.97],
};
const SECOND_PRIORS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] as const;
/** How many observations a belief weighs as much as. */
const PRIOR_WEIGHT = 6;
const SOURCE_WEIGHT = 3;
const PLACE_WEIGHT = 8;
/** Older counts fade, so that the text may change its nature: the newest 64 or so decide. */
const MEMORY = 64;
/** First place (ids hinted ahead of it) of each class of places. */
const PLACE_CLASSES = [1, 4, 12] as const;

/** A source whose guesses were worth nothing so often in turn rests for a while: longer each time, until one is worth something. */
const PATIENCE = 24;
const PROBES = 8;
const SHORTEST_REST = 16;
const LONGEST_REST = 128;

type Count = { right: number; all: number };
type Evidence = {
  /** What came true beside what the priors said. */
  whole: { right: number; expected: number };
  grades: Count[];
  places: Count[][];
};
type Rest = { worthless: number; tokens: number; until: number };

export class Controller {
  readonly #records = new Map<string, Evidence>();
  readonly #rests = new Map<HintSource, Rest>();

  /** The chance that a guess comes true, given that all before it did; `place`: how many ids are hinted before it. */
  chance(source: HintSource, grade: number, place = 0, rank: Rank = "first"): number {
    const record = this.#record(source, rank);
    const byGrade = this.#gradeChance(record, source, clamp(grade), rank);
    const { right, all } = record.places[clamp(grade)]![classOf(PLACE_CLASSES, place)]!;
    return (right + PLACE_WEIGHT * byGrade) / (all + PLACE_WEIGHT);
  }

  /** Takes note of a guess whose position is confirmed by now. */
  learn(source: HintSource, grade: number, cameTrue: boolean, place = 0, rank: Rank = "first"): void {
    const record = this.#record(source, rank);
    const prior = priorOf(source, clamp(grade), rank);
    if (record.whole.expected > MEMORY) {
      record.whole.right /= 2;
      record.whole.expected /= 2;
    }
    record.whole.expected += prior;
    if (cameTrue) record.whole.right++;
    note(record.grades[clamp(grade)]!, cameTrue);
    note(record.places[clamp(grade)]![classOf(PLACE_CLASSES, place)]!, cameTrue);
  }

  /** Whether a source is asked for the text that ends at `position`. */
  isResting(source: HintSource, position: number): boolean {
    return position < (this.#rests.get(source)?.until ?? 0);
  }

  /** Takes note of whether a guess for the first place was worth hinting. */
  judge(source: HintSource, isWorthy: boolean, position: number): void {
    const rest = this.#rests.get(source) ?? { worthless: 0, tokens: SHORTEST_REST, until: 0 };
    this.#rests.set(source, rest);
    if (isWorthy) {
      rest.worthless = 0;
      rest.tokens = SHORTEST_REST;
    } else if (++rest.worthless >= PATIENCE) {
      rest.until = position + rest.tokens;
      rest.tokens = Math.min(LONGEST_REST, 2 * rest.tokens);
      rest.worthless = PATIENCE - PROBES;
    }
  }

  #gradeChance({ whole, grades }: Evidence, source: HintSource, grade: number, rank: Rank): number {
    const { right, all } = grades[grade]!;
    const factor = (whole.right + SOURCE_WEIGHT) / (whole.expected + SOURCE_WEIGHT);
    const belief = Math.min(0.98, priorOf(source, grade, rank) * factor);
    return (right + PRIOR_WEIGHT * belief) / (all + PRIOR_WEIGHT);
  }

  #record(source: HintSource, rank: Rank): Evidence {
    const key = `${source} ${rank}`;
    let record = this.#records.get(key);
    if (!record) {
      const counts = (length: number) => Array.from({ length }, () => ({ right: 0, all: 0 }));
      record = {
        whole: { right: 0, expected: 0 },
        grades: counts(GRADES),
        places: Array.from({ length: GRADES }, () => counts(PLACE_CLASSES.length + 1)),
      };
      this.#records.set(key, record);
    }
    return record;
  }
}

const clamp = (grade: number): number => Math.max(0, Math.min(GRADES - 1, grade));
const priorOf = (source: HintSource, grade: number, rank: Rank): number =>
  rank === "second" ? SECOND_PRIORS[grade]! : (PRIORS[source]?.[grade] ?? 0.5);

function note(count: Count, cameTrue: boolean): void {
  if (count.all >= MEMORY) {
    count.right *= 1 - 1 / MEMORY;
    count.all *= 1 - 1 / MEMORY;
  }
  count.all++;
  if (cameTrue) count.right++;
}
