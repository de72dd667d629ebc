/**
 * Stop strings in a text that arrives in pieces.
 *
 * Text that may be the beginning of a stop string is held back until it is clear that it is not.
 */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** `text`: what may be delivered now. `stopped`: a stop string was found, `text` ends just before it. */
  push(piece: string): { text: string; stopped: boolean } {
    const text = this.#held + piece;
    const at = this.#firstStop(text);
    if (at >= 0) {
      this.#held = "";
      return { text: text.slice(0, at), stopped: true };
    }
    const safe = text.length - this.#openingLength(text);
    this.#held = text.slice(safe);
    return { text: text.slice(0, safe), stopped: false };
  }

  /** What is still held back when the text ends otherwise. */
  end(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** Where the earliest stop string begins, or -1. */
  #firstStop(text: string): number {
    let first = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) first = at;
    }
    return first;
  }

  /** Length of the longest end of `text` that is a proper beginning of a stop string. */
  #openingLength(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--) {
        if (text.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }
}
