/** Drafts ahead of the last confirmed token for one sequence, and never waits for an answer before drafting on. */
import type { Hint } from "../link/link.ts";
import { Controller } from "./controller.ts";
import { DraftedText, type Foretold } from "./drafted-text.ts";
import type { DraftSource } from "./source.ts";

export type SendHint = (hint: Hint) => void;
/** What a completion needs of whoever drafts for it. */
export interface Drafter {
  /** Begins what can be done before the sequence is open. */
  prepare(): void;
  /** The sequence is open (again): hints go to `send` from now on. */
  start(send: SendHint): void;
  confirm(ids: readonly number[]): void;
  /** Gives everything back. May be called twice. */
  stop(): void;
}

/** Most ids hinted beyond the confirmed end. */
const MAX_AHEAD = 12;
/**
 * The verifier is at work on the first hinted position already: the id there costs it nothing, and opens the way to
 * those after it. A guess is sent while the chance that it and all between come true, given that first one, is at
 * least LEAST_CHANCE, and the chance with it at least LEAST_REACH: below that it is hardly ever looked at.
 */
const LEAST_CHANCE = 0.25;
const LEAST_REACH = 0.06;
/** A source this sure is not compared with others. */
const SURE_CHANCE = 0.5;
/** Ids per hint frame, but the first two, of which the second can save a step, do not wait for those after them. */
const MAX_BATCH = 4;

export class PortfolioDrafter implements Drafter {
  /** In the order in which they are heard. */
  readonly #sources: readonly DraftSource[];
  readonly #controller = new Controller();
  readonly #text: DraftedText;
  /** Where the text must end: prompt plus the cap on output. */
  readonly #end: number;
  #send: SendHint | undefined;
  #stopped = false;
  /** Counts what #run() may have to react to, so that none of it is missed between two of its steps. */
  #changes = 0;
  #wake: (() => void) | undefined;

  constructor(prompt: readonly number[], maxTokens: number, sources: readonly DraftSource[]) {
    this.#text = new DraftedText(prompt);
    this.#end = prompt.length + maxTokens;
    this.#sources = sources;
  }

  prepare(): void {
    try {
      for (const source of this.#sources) source.prepare?.(this.#text.ids);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  start(send: SendHint): void {
    const isFirst = this.#send === undefined;
    this.#send = send;
    if (isFirst) this.#run().catch((error: unknown) => this.#giveUp(error));
    else this.#text.forget();
    this.#changed();
  }

  confirm(ids: readonly number[]): void {
    for (const id of ids) {
      const foretold = this.#text.confirm(id);
      if (foretold) this.#controller.learn(foretold.source, foretold.grade, foretold.id === id);
    }
    this.#changed();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#changed();
    for (const source of this.#sources) source.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const seen = this.#changes;
      const isDrafting = this.#hasRoom() && (await this.#draftOne());
      if (this.#stopped) return;
      const batch = this.#text.hinted.length <= 2 ? 2 : MAX_BATCH;
      if (!isDrafting || this.#text.unsent >= batch) this.#flush();
      if (!isDrafting) await this.#changeSince(seen);
    }
  }

  /** The last token of a text is the verifier's own in any case: a hint for it saves nothing. */
  #hasRoom(): boolean {
    return this.#text.hinted.length < MAX_AHEAD && this.#text.ids.length < this.#end - 1;
  }

  /** Hints one more id. False if there is nothing to hint until something changes. */
  async #draftOne(): Promise<boolean> {
    const text = this.#text;
    const { epoch } = text;
    const guess = text.held ?? (await this.#ask());
    // The text changed meanwhile: ask again.
    if (epoch !== text.epoch) return true;
    if (!guess) return false;
    // Not worth sending now, its chance may rise as the ids before it are confirmed.
    text.held = guess;
    if (!this.#isWorthIt([...text.hinted, guess])) return false;
    text.hint(guess);
    return true;
  }

  /** The first source that is sure enough, or else the surest. */
  async #ask(): Promise<Foretold | undefined> {
    let best: Foretold | undefined;
    let bestChance = 0;
    for (const source of this.#sources) {
      const guess = await source.next(this.#text.ids, this.#text.confirmed);
      if (this.#stopped) return undefined;
      if (!guess) continue;
      const chance = this.#controller.chance(source.name, guess.grade);
      if (chance > bestChance) [best, bestChance] = [{ ...guess, source: source.name }, chance];
      if (chance >= SURE_CHANCE) break;
    }
    return best;
  }

  #isWorthIt(guesses: readonly Foretold[]): boolean {
    return this.#chanceOf(guesses.slice(1)) >= LEAST_CHANCE && this.#chanceOf(guesses) >= LEAST_REACH;
  }

  /** The chance that all of them come true. */
  #chanceOf(guesses: readonly Foretold[]): number {
    return guesses.reduce((all, { source, grade }) => all * this.#controller.chance(source, grade), 1);
  }

  #flush(): void {
    for (const hint of this.#text.takeUnsent()) this.#send?.(hint);
  }

  #changed(): void {
    this.#changes++;
    this.#wake?.();
  }

  #changeSince(seen: number): Promise<void> {
    if (seen !== this.#changes) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Drafts may fail; the text goes on without them. */
  #giveUp(error: unknown): void {
    console.error(JSON.stringify({ level: "error", message: "drafting failed", error: String(error) }));
    this.stop();
  }
}
