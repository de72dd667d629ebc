/**
 * Work on a sequence, in slices: prefilling its waiting ids, or drafting after them.
 *
 * Passes of all sequences share the kernel's scratch space, so one that was left half done is finished first, by
 * whoever works next and whosever it is: no one waits for another request, which may be gone.
 */
import type { DraftSettings, DraftToken, Pass, UnderWay } from "./pass.ts";

export type DraftOptions = DraftSettings & {
  /** Drafting stops before a token that the draft gives less than this. */
  readonly minProbability?: number;
};
/**
 * `count`: all that was asked for; `confidence`: the next token was below minProbability; `pages`: the pool was empty;
 * `superseded`: the sequence changed or the engine closed meanwhile; `empty`: there are no ids to go on from.
 */
export type DraftEnd = "count" | "confidence" | "pages" | "superseded" | "empty";
export type Draft = { readonly tokens: readonly DraftToken[]; readonly end: DraftEnd };

/** What a sequence lets its work do; `Sequence` says what each means. */
export type Worked = {
  readonly closed: boolean;
  readonly version: number;
  readonly waiting: number;
  nextPass(settings: DraftSettings | undefined): Pass | "pages" | "empty";
  finishPass(pass: Pass): void;
  append(id: number): void;
};

export abstract class Work {
  protected readonly sequence: Worked;
  readonly #underWay: UnderWay;
  readonly #version: number;
  #pass: Pass | undefined;
  #finished = false;

  constructor(underWay: UnderWay, sequence: Worked) {
    this.#underWay = underWay;
    this.sequence = sequence;
    this.#version = sequence.version;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** Works for about `macs` multiply-adds or until finished. Returns those it took, also on others' passes. */
  advance(macs: number): number {
    const underWay = this.#underWay;
    let spent = 0;
    while (!this.#finished) {
      if (this.sequence.closed || this.sequence.version !== this.#version) {
        this.#end("superseded");
      } else if (this.#pass?.done) {
        this.sequence.finishPass(this.#pass);
        this.onPass(this.#pass);
        this.#pass = undefined;
      } else if (!this.#pass) {
        const next = this.nextPass();
        if (typeof next === "string") this.#end(next);
        else this.#pass = next;
      } else if (spent >= macs) {
        break;
      } else {
        underWay.current ??= this.#pass;
        spent += underWay.current.step();
        if (underWay.current.done) underWay.current = undefined;
      }
    }
    return spent;
  }

  #end(reason: DraftEnd | "done"): void {
    this.#finished = true;
    this.onEnd(reason);
  }

  protected abstract nextPass(): Pass | DraftEnd | "done";
  protected abstract onPass(pass: Pass): void;
  protected abstract onEnd(reason: DraftEnd | "done"): void;
}

export class PrefillWork extends Work {
  end: DraftEnd | "done" | undefined;

  protected nextPass(): Pass | DraftEnd | "done" {
    return this.sequence.waiting <= 1 ? "done" : this.sequence.nextPass(undefined);
  }
  protected onPass(): void {}
  protected onEnd(reason: DraftEnd | "done"): void {
    this.end = reason;
  }
}

export class DraftWork extends Work {
  readonly #count: number;
  readonly #options: DraftOptions;
  readonly #tokens: DraftToken[] = [];
  #end: DraftEnd = "count";
  #unsure = false;

  constructor(underWay: UnderWay, sequence: Worked, count: number, options: DraftOptions) {
    super(underWay, sequence);
    if (!(options.temperature >= 0)) throw new RangeError(`temperature ${options.temperature}`);
    this.#count = count;
    this.#options = options;
  }

  /** What was drafted so far; complete once finished. */
  get draft(): Draft {
    return { tokens: this.#tokens, end: this.#end };
  }

  protected nextPass(): Pass | DraftEnd {
    if (this.#unsure) return "confidence";
    if (this.#tokens.length >= this.#count) return "count";
    return this.sequence.nextPass(this.#options);
  }
  protected onPass(pass: Pass): void {
    if (!pass.drawn) return;
    this.#unsure = pass.drawn.probability < (this.#options.minProbability ?? 0);
    if (this.#unsure) return;
    this.#tokens.push(pass.drawn);
    this.sequence.append(pass.drawn.id);
  }
  protected onEnd(reason: DraftEnd | "done"): void {
    if (reason !== "done") this.#end = reason;
  }
}
