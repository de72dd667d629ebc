/**
 * The text as a drafter sees it: prompt and confirmed ids, then the ids hinted beyond them.
 *
 * A confirmed id that differs from the hinted one is a refusal: what was hinted beyond it is void and the path grows.
 */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import type { Hint } from "../link/link.ts";

export type Foretold = { id: number; source: HintSource; grade: number };

export class DraftedText {
  readonly #ids: number[];
  #confirmed: number;
  /** Ids beyond the confirmed end, in order. */
  #hinted: Foretold[] = [];
  /** How many of them, the last ones, are still to be sent. */
  #unsent = 0;
  #path = 0;
  #epoch = 0;
  /** The next id, foretold but not hinted; void as soon as the text's end changes. */
  held: Foretold | undefined;

  constructor(prompt: readonly number[]) {
    this.#ids = [...prompt];
    this.#confirmed = prompt.length;
  }

  get ids(): readonly number[] {
    return this.#ids;
  }
  get confirmed(): number {
    return this.#confirmed;
  }
  get hinted(): readonly Foretold[] {
    return this.#hinted;
  }
  get unsent(): number {
    return this.#unsent;
  }
  /** Grows whenever the text's end changes other than by `hint()`: what was foretold for it is out of date. */
  get epoch(): number {
    return this.#epoch;
  }

  hint(next: Foretold): void {
    this.#hinted.push(next);
    this.#ids.push(next.id);
    this.#unsent++;
    this.held = undefined;
  }

  /** The verifier says `id`. Returns what had been foretold for its position, if anything. */
  confirm(id: number): Foretold | undefined {
    const foretold = this.#hinted[0] ?? this.held;
    if (this.#hinted[0]?.id === id) {
      this.#hinted.shift();
      this.#unsent = Math.min(this.#unsent, this.#hinted.length);
    } else {
      if (this.#hinted.length > 0) this.forget();
      this.held = undefined;
      this.#ids.push(id);
      this.#epoch++;
    }
    this.#confirmed++;
    return foretold;
  }

  /** Drops what was hinted; the next hint begins a new path at the confirmed end. */
  forget(): void {
    this.#ids.length = this.#confirmed;
    this.#hinted = [];
    this.#unsent = 0;
    this.held = undefined;
    this.#path++;
    this.#epoch++;
  }

  /** The unsent ids, a hint for each stretch of one source. They count as sent. */
  takeUnsent(): Hint[] {
    const hints: Hint[] = [];
    for (let from = this.#hinted.length - this.#unsent; from < this.#hinted.length; ) {
      const { source } = this.#hinted[from]!;
      let to = from + 1;
      while (this.#hinted[to]?.source === source) to++;
      const ids = this.#hinted.slice(from, to).map(({ id }) => id);
      hints.push({ path: this.#path, at: this.#confirmed + from, ids, source });
      from = to;
    }
    this.#unsent = 0;
    return hints;
  }
}
