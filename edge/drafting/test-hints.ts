/**
 * Hints that help nobody, for the tests that show that hints cannot change a text: random ids; and, worse, hints
 * that are nearly right: right tokens at wrong positions, one wrong token inside right ones, paths of the past, and branches of both kinds.
 */
import { HINT_SOURCES, MAX_BRANCHES, MAX_HINT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { Drafter, SendHint } from "./drafter.ts";
import { Lookup } from "./lookup.ts";

/** `wrong`: the honest drafter with a source that is never right. */
export const TEST_HINTS = ["honest", "random", "adversarial", "wrong"] as const;
export type TestHints = (typeof TEST_HINTS)[number];
type Hostility = Exclude<TestHints, "honest" | "wrong">;

const MAX_HINTS_PER_STEP = 4;
/** The verifier's own hints do not come from the edge. */
const SOURCES = HINT_SOURCES.filter((source) => source !== "guess");

export class HostileDrafter implements Drafter {
  readonly #kind: Hostility;
  readonly #text: number[];
  readonly #vocabulary: number;
  readonly #lookup = new Lookup();
  #path = 0;
  #send: SendHint | undefined;

  constructor(kind: Hostility, prompt: readonly number[], vocabulary: number) {
    this.#kind = kind;
    this.#text = [...prompt];
    this.#vocabulary = vocabulary;
  }

  prepare(): void {
    this.#lookup.prepare(this.#text);
  }

  start(send: SendHint): void {
    this.#send = send;
    this.#mislead();
  }

  confirm(ids: readonly number[]): void {
    this.#text.push(...ids);
    this.#mislead();
  }

  stop(): void {
    this.#send = undefined;
    this.#lookup.close();
  }

  #mislead(): void {
    for (let n = below(MAX_HINTS_PER_STEP); n >= 0; n--) {
      const { at, ids } = this.#stretch();
      if (below(3) === 0) this.#path++;
      const isStale = this.#kind === "adversarial" && below(4) === 0;
      const path = isStale ? Math.max(0, this.#path - 1 - below(3)) : this.#path;
      const branches = Array.from({ length: below(MAX_BRANCHES + 1) }, () => ({
        ...this.#stretch(),
        ...(below(3) === 0 && { from: 1 + below(4) }),
      }));
      const source = SOURCES[below(SOURCES.length)]!;
      this.#send?.({ path, at, ids, source, ...(branches.length > 0 && { branches }) });
    }
  }

  #stretch(): { at: number; ids: number[] } {
    const { at, ids } = this.#kind === "random" ? this.#randomIds() : this.#nearlyRight();
    return { at, ids: ids.slice(0, MAX_HINT_IDS) };
  }

  #randomIds(): { at: number; ids: number[] } {
    const ids = Array.from({ length: 1 + below(8) }, () => below(this.#vocabulary));
    return { at: this.#text.length, ids };
  }

  /** What the text said before, or what it may say next, placed a little off or with one id exchanged. */
  #nearlyRight(): { at: number; ids: number[] } {
    const end = this.#text.length;
    const back = Math.min(end, below(6));
    const ids = [...this.#text.slice(end - back), ...this.#foreseen()];
    const shift = below(2) === 0 ? 0 : below(7) - 3;
    if (ids.length === 0 || below(2) === 0) ids.splice(below(ids.length + 1), 1, below(this.#vocabulary));
    return { at: Math.max(0, end - back + shift), ids };
  }

  #foreseen(): number[] {
    const text = [...this.#text];
    for (let n = below(8); n > 0; n--) {
      const guess = this.#lookup.next(text, this.#text.length);
      if (!guess) break;
      text.push(guess.id);
    }
    return text.slice(this.#text.length);
  }
}

/** A random integer from 0 to n - 1. */
const below = (n: number): number => Math.floor(Math.random() * n);
