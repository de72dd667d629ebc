/** Drafts from what the verifier confirmed for the same owner earlier: the text that agrees longest is followed. */
import { classOf, type DraftSource, type Guess } from "../source.ts";
import type { MemoryStore, Place } from "./store.ts";

/** Agreement length from which a guess has grade 1, 2, and so on. */
const GRADE_LENGTHS = [6, 9, 14, 22, 32] as const;

export class MemorySource implements DraftSource {
  readonly name = "memory";
  readonly #store: MemoryStore;
  readonly #owner: string;
  /** Where the last guess came from, and for which length of text. */
  #followed: (Place & { length: number }) | undefined;

  constructor(store: MemoryStore, owner: string) {
    this.#store = store;
    this.#owner = owner;
  }

  next(text: readonly number[]): Guess | null {
    const place = this.#goOn(text) ?? this.#store.find(this.#owner, text);
    const id = place && this.#store.idAt(place);
    if (!place || id === undefined) return null;
    this.#followed = { ...place, length: text.length };
    return { id, grade: classOf(GRADE_LENGTHS, place.agreed) };
  }

  close(): void {}

  /** Stays with one text while it is right; the end of what is known of it is looked up again. */
  #goOn(text: readonly number[]): Place | undefined {
    const last = this.#followed;
    if (!last) return undefined;
    const ahead = text.length - last.length;
    if (ahead !== 0 && ahead !== 1) return undefined;
    if (ahead === 1 && this.#store.idAt(last) !== text[last.length]) return undefined;
    const place = { at: last.at + ahead, end: last.end, agreed: last.agreed + ahead };
    return place.at < place.end ? place : undefined;
  }
}
