/**
 * Drafts from the client's own prediction of the output, and finds its place in it again after every edit.
 *
 * While the text agrees with the prediction, the next predicted id is the guess. Where it leaves it, the place is
 * looked for near the edit: the one whose past agrees longest with the text's end, the nearest one among equals. One id
 * may be enough, because an edit is short beside the rest: the controller learns what how much agreement is worth.
 */
import { agreement } from "./agreement.ts";
import { classOf, type DraftSource, type Guess } from "./source.ts";

/** Places looked at before and after an edit. */
const REACH_BACK = 16;
const REACH_AHEAD = 192;
const LONGEST_MATCH = 16;
/** Agreement from which the text is taken to be past the edit. */
const SETTLED_MATCH = 4;
/** Agreement length from which a guess has grade 1, 2, and so on. */
const GRADE_LENGTHS = [1, 2, 3, 6, 12] as const;

/** Where the text's end stands in the prediction. */
type Alignment = {
  /** The text's length. */
  at: number;
  /** Index of the id that is expected next; -1 where that is unknown. */
  place: number;
  agreed: number;
  /** Where the last edit begins, and how many ids of the text ago. */
  edit: number;
  since: number;
};

export class Prediction implements DraftSource {
  readonly name = "prediction";
  readonly #predicted: readonly number[];
  readonly #confirmed: Alignment;
  #drafted: Alignment | undefined;

  /** The output is expected to begin after `promptLength` ids of text. */
  constructor(predicted: readonly number[], promptLength: number) {
    this.#predicted = predicted;
    this.#confirmed = { at: promptLength, place: 0, agreed: SETTLED_MATCH, edit: 0, since: 0 };
  }

  next(text: readonly number[], confirmed: number): Guess | null {
    while (this.#confirmed.at < confirmed) this.#advance(this.#confirmed, text);
    const alignment = this.#goOn(text) ?? { ...this.#confirmed };
    while (alignment.at < text.length) this.#advance(alignment, text);
    this.#drafted = alignment;
    const id = this.#predicted[alignment.place];
    return id === undefined ? null : { id, grade: classOf(GRADE_LENGTHS, alignment.agreed) };
  }

  close(): void {}

  /** The last answer's alignment, where the text has since gone on with that answer. */
  #goOn(text: readonly number[]): Alignment | undefined {
    const last = this.#drafted;
    const goesOn = last?.at === text.length - 1 && this.#predicted[last.place] === text[last.at];
    return goesOn && last.at >= this.#confirmed.at ? last : undefined;
  }

  /** The text goes on with its id at `alignment.at`. */
  #advance(alignment: Alignment, text: readonly number[]): void {
    const id = text[alignment.at++]!;
    if (alignment.place >= 0 && this.#predicted[alignment.place] === id) {
      alignment.place++;
      alignment.agreed++;
      return;
    }
    if (alignment.agreed >= SETTLED_MATCH && alignment.place >= 0) {
      alignment.edit = alignment.place;
      alignment.since = 0;
    }
    alignment.since++;
    this.#align(alignment, text);
  }

  #align(alignment: Alignment, text: readonly number[]): void {
    const { edit, since, at } = alignment;
    // An id in place of another: so it looks until there is more to go by.
    alignment.place = since === 1 ? edit + 1 : -1;
    alignment.agreed = 0;
    const last = Math.min(this.#predicted.length, edit + REACH_AHEAD + since);
    for (let place = edit + 1; place <= last; place++) this.#consider(place, alignment, text, at);
    for (let place = edit; place > Math.max(0, edit - REACH_BACK); place--)
      this.#consider(place, alignment, text, at);
  }

  #consider(place: number, alignment: Alignment, text: readonly number[], end: number): void {
    const length = agreement(this.#predicted, place, text, end, LONGEST_MATCH);
    if (length <= alignment.agreed) return;
    alignment.place = place;
    alignment.agreed = length;
  }
}
