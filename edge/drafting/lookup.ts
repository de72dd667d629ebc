/**
 * Drafts by looking up what followed the same recent tokens earlier in the prompt and the output.
 *
 * An index holds every place where a sequence of three ids ended; the place whose past agrees longest with the
 * text's end wins, the newest one among equals. No model, no memory beyond one request.
 */
import { agreement } from "./agreement.ts";
import { classOf, type DraftSource, type Guess } from "./source.ts";

/** Shorter agreements foretell too little to be worth a row of the target. */
const LEAST_MATCH = 3;
const LONGEST_MATCH = 32;
/** Places tried per look-up, newest first: bounds the time on text that repeats itself. */
const MAX_PLACES = 16;
/** Agreement length from which a guess has grade 1, 2, and so on. */
const GRADE_LENGTHS = [4, 6, 8, 12, 20] as const;

export class Lookup implements DraftSource {
  readonly name = "lookup";
  /** For each sequence of three ids, the positions after it, oldest first. */
  readonly #places = new Map<string, number[]>();
  #indexed = 0;
  #followed: { from: number; length: number; at: number } | undefined;

  prepare(text: readonly number[]): void {
    this.#index(text, text.length);
  }

  next(text: readonly number[], confirmed: number): Guess | null {
    this.#index(text, confirmed);
    const found = this.#goOn(text) ?? this.#find(text);
    if (!found) return null;
    this.#followed = { from: found.from + 1, length: found.length + 1, at: text.length + 1 };
    return { id: text[found.from]!, grade: classOf(GRADE_LENGTHS, found.length) };
  }

  close(): void {
    this.#places.clear();
  }

  /** Only what is certain is indexed: it never has to be taken back. */
  #index(text: readonly number[], confirmed: number): void {
    while (this.#indexed < confirmed) {
      const end = ++this.#indexed;
      if (end < LEAST_MATCH) continue;
      const key = keyAt(text, end);
      const places = this.#places.get(key);
      if (places) places.push(end);
      else this.#places.set(key, [end]);
    }
  }

  /** Stays with the place that the last guess came from while the text follows it. */
  #goOn(text: readonly number[]) {
    const last = this.#followed;
    if (last?.at !== text.length || last.from >= text.length) return undefined;
    return text[last.from - 1] === text[text.length - 1] ? last : undefined;
  }

  #find(text: readonly number[]): { from: number; length: number } | undefined {
    if (text.length < LEAST_MATCH) return undefined;
    const places = this.#places.get(keyAt(text, text.length)) ?? [];
    let best: { from: number; length: number } | undefined;
    for (let i = places.length - 1, tried = 0; i >= 0 && tried < MAX_PLACES; i--) {
      const from = places[i]!;
      if (from >= text.length) continue;
      tried++;
      const length = agreement(text, from, text, text.length, LONGEST_MATCH);
      if (length >= LEAST_MATCH && length > (best?.length ?? 0)) best = { from, length };
    }
    return best;
  }
}

const keyAt = (text: readonly number[], end: number): string =>
  `${text[end - 3]},${text[end - 2]},${text[end - 1]}`;
