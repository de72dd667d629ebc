/**
 * A draft model that is never right, as surely as it is asked: for the bench that shows that the controller silences
 * a source that does not pay.
 */
import { type DraftSource, GRADES, type Guess } from "./source.ts";

/** Far apart, so that guesses wander all over the vocabulary. */
const STRIDE = 7_919;

export class WrongSource implements DraftSource {
  readonly name = "model";
  readonly #vocabulary: number;

  /** `vocabulary`: ids are below it. */
  constructor(vocabulary: number) {
    this.#vocabulary = vocabulary;
  }

  /** Of all grades in turn. Right by chance alone: once in as many guesses as the vocabulary has ids. */
  next(text: readonly number[]): Guess {
    const at = text.length;
    const id = ((text[at - 1] ?? 0) + STRIDE * at) % this.#vocabulary;
    return { id, grade: at % GRADES };
  }

  close(): void {}
}
