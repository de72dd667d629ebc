/** What a step brought: tokens, and hint rows that ran and came true, by source. */
import type { HintSource, TokensFrame } from "../../protocol/frames.ts";

type BySource = Record<string, number>;

export class Tally {
  readonly #drafted: BySource = {};
  readonly #accepted: BySource = {};
  #tokens = 0;

  /** One sequence's part: the sources of its hint rows, and the frames that came of it. */
  add(sources: readonly HintSource[], frames: readonly TokensFrame[]): void {
    for (const source of sources) addTo(this.#drafted, source, 1);
    for (const { ids, source, accepted } of frames) {
      this.#tokens += ids.length;
      if (source) addTo(this.#accepted, source, accepted);
    }
  }

  get counts(): { tokens: number; drafted: BySource; accepted: BySource } {
    return { tokens: this.#tokens, drafted: this.#drafted, accepted: this.#accepted };
  }
}

function addTo(counts: BySource, name: string, n: number): void {
  counts[name] = (counts[name] ?? 0) + n;
}
