/**
 * The text as a drafter sees it: prompt and confirmed ids, the ids hinted beyond them, and branches beside those.
 *
 * A confirmed id that differs from the hinted one is a refusal: what was hinted beyond it is void and the path grows.
 * A branch that begins with the confirmed id becomes the new path's main line then. The verifier follows it by itself
 * along the committed text, so nothing of it is sent again before there is something to add; the first hint of the
 * new path repeats what is left of it, for the case that the verifier has left it meanwhile.
 */
import type { Hint } from "../link/link.ts";
import { type Branch, type Foretold, isUnsent } from "./foretold.ts";
import { hintsOf } from "./telling.ts";

/** What a confirmed id says about what was foretold for its position. */
export type Outcome = {
  /** What was hinted there or held back, if anything. */
  foretold: Foretold | undefined;
  /** `refused`: a hint was wrong and no branch led on. */
  kind: "came" | "unforetold" | "adopted" | "refused";
};

export class DraftedText {
  readonly #ids: number[];
  #confirmed: number;
  /** Ids beyond the confirmed end, in order. */
  #hinted: Foretold[] = [];
  /** How many of them, the last ones, the verifier does not know. */
  #unsent = 0;
  #branches: Branch[] = [];
  #path = 0;
  /** Nothing of this path has been sent yet. */
  #isFresh = true;
  #epoch = 0;
  /** The next id, foretold but not hinted; void as soon as the text's end changes. */
  held: Foretold | undefined;
  /** Nobody knows what follows the main line; void as soon as a token is confirmed. */
  isOver = false;

  constructor(prompt: readonly number[]) {
    this.#ids = [...prompt];
    this.#confirmed = prompt.length;
  }

  /** Prompt, confirmed and hinted ids of the main line. */
  get ids(): readonly number[] {
    return this.#ids;
  }
  get confirmed(): number {
    return this.#confirmed;
  }
  get hinted(): readonly Foretold[] {
    return this.#hinted;
  }
  get branches(): readonly Branch[] {
    return this.#branches;
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

  /** Adds to the branch at `at`, which begins with the runner-up there; undefined: nobody knows what follows it. */
  branch(at: number, next: Foretold | undefined): void {
    const main = this.#hinted[at - this.#confirmed];
    if (!main?.runnerUp) throw new RangeError(`no runner-up at ${at}`);
    let branch = this.#branches.find((one) => one.at === at);
    if (!branch) {
      const { source, place, runnerUp } = main;
      branch = { at, ids: [{ ...runnerUp, source, place }], sent: 0, isOver: false };
      this.#branches.push(branch);
    }
    if (next) branch.ids.push(next);
    else branch.isOver = true;
  }

  /** The whole text as a branch at `at` has it so far. */
  branchText(at: number): number[] {
    const branch = this.#branches.find((one) => one.at === at);
    const ids = branch ? branch.ids.map(({ id }) => id) : [this.#hinted[at - this.#confirmed]!.runnerUp!.id];
    return [...this.#ids.slice(0, at), ...ids];
  }

  /** The verifier says `id`. */
  confirm(id: number): Outcome {
    const next = this.#hinted[0];
    const foretold = next ?? this.held;
    const branch = this.#branches.find(({ at }) => at === this.#confirmed);
    this.isOver = false;
    if (next?.id === id) {
      this.#hinted.shift();
      this.#unsent = Math.min(this.#unsent, this.#hinted.length);
      this.#branches = this.#branches.filter((one) => one !== branch);
      this.#confirmed++;
      return { foretold, kind: "came" };
    }
    if (next) this.forget();
    this.held = undefined;
    this.#ids.push(id);
    this.#confirmed++;
    this.#epoch++;
    if (!next) return { foretold, kind: "unforetold" };
    if (branch?.ids[0]?.id !== id) return { foretold, kind: "refused" };
    this.#adopt(branch);
    return { foretold, kind: "adopted" };
  }

  /** Drops what was hinted; the next hint begins a new path at the confirmed end. */
  forget(): void {
    this.#ids.length = this.#confirmed;
    this.#hinted = [];
    this.#branches = [];
    this.#unsent = 0;
    this.#isFresh = true;
    this.held = undefined;
    this.#path++;
    this.#epoch++;
  }

  /** What the verifier does not know, in hints. It counts as sent. */
  takeUnsent(): Hint[] {
    const branches = this.#branches.filter(isUnsent);
    const { length } = this.#hinted;
    const isIdle = this.#unsent === 0 && branches.length === 0;
    const first = isIdle ? length : this.#isFresh ? 0 : length - this.#unsent;
    const line = { path: this.#path, confirmed: this.#confirmed, hinted: this.#hinted };
    const hints = hintsOf(line, first, branches);
    if (hints.length > 0) this.#isFresh = false;
    this.#unsent = 0;
    for (const branch of branches) branch.sent = branch.ids.length;
    return hints;
  }

  #adopt(branch: Branch): void {
    this.#hinted = branch.ids.slice(1);
    this.#ids.push(...this.#hinted.map(({ id }) => id));
    this.#unsent = Math.min(branch.ids.length - branch.sent, this.#hinted.length);
  }
}
