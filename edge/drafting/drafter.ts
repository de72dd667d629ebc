/**
 * Drafts ahead of the last confirmed token for one sequence, and never waits for an answer before drafting on.
 *
 * The text is prompt, confirmed and hinted ids. A confirmed id that differs from the hinted one is a refusal: what
 * was hinted beyond it is void, the path grows, and drafting starts again from the confirmed end.
 */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import type { Hint } from "../link/link.ts";
import { Controller } from "./controller.ts";
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
/** A guess is sent while the chance that it and all hinted before it come true is at least this. */
const LEAST_CHANCE = 0.3;
/** A source this sure is not compared with others. */
const SURE_CHANCE = 0.5;
/** Ids per hint frame, but the first of a path goes out alone: it should not wait for those after it. */
const MAX_BATCH = 4;

type Hinted = { id: number; source: HintSource; grade: number };

export class PortfolioDrafter implements Drafter {
  /** In the order of preference: the first that has something to say is heard. */
  readonly #sources: readonly DraftSource[];
  readonly #controller = new Controller();
  readonly #text: number[];
  /** Where the text must end: prompt plus the cap on output. */
  readonly #end: number;
  #confirmed: number;
  /** Hinted ids beyond the confirmed end, in order. */
  #hinted: Hinted[] = [];
  /** How many of them are still to be sent. */
  #unsent = 0;
  /** A guess that is not worth sending yet; its chance rises as the ids before it are confirmed. */
  #held: Hinted | undefined;
  #path = 0;
  /** Grows whenever the text's end changes under a source at work. */
  #epoch = 0;
  #send: SendHint | undefined;
  #stopped = false;
  /** Counts what #run() may have to react to, so that none of it is missed between two of its steps. */
  #changes = 0;
  #wake: (() => void) | undefined;

  constructor(prompt: readonly number[], maxTokens: number, sources: readonly DraftSource[]) {
    this.#text = [...prompt];
    this.#confirmed = prompt.length;
    this.#end = prompt.length + maxTokens;
    this.#sources = sources;
  }

  prepare(): void {
    try {
      for (const source of this.#sources) source.prepare?.(this.#text);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  start(send: SendHint): void {
    const isFirst = this.#send === undefined;
    this.#send = send;
    if (isFirst) this.#run().catch((error: unknown) => this.#giveUp(error));
    else this.#forget();
    this.#changed();
  }

  confirm(ids: readonly number[]): void {
    for (const id of ids) this.#confirmOne(id);
    this.#changed();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#changed();
    for (const source of this.#sources) source.close();
  }

  #confirmOne(id: number): void {
    const foretold = this.#hinted[0] ?? this.#held;
    if (foretold) this.#controller.learn(foretold.source, foretold.grade, foretold.id === id);
    if (this.#hinted.length === 0) {
      this.#held = undefined;
      this.#text.push(id);
      this.#epoch++;
    } else if (foretold!.id === id) {
      this.#hinted.shift();
      this.#unsent = Math.min(this.#unsent, this.#hinted.length);
    } else {
      this.#forget();
      this.#text.push(id);
    }
    this.#confirmed++;
  }

  /** Drops what was hinted; the next hint begins a new path at the confirmed end. */
  #forget(): void {
    this.#text.length = this.#confirmed;
    this.#hinted = [];
    this.#unsent = 0;
    this.#held = undefined;
    this.#path++;
    this.#epoch++;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const seen = this.#changes;
      const isDrafting = this.#hasRoom() && (await this.#draftOne());
      if (this.#stopped) return;
      const batch = this.#hinted.length === 1 ? 1 : MAX_BATCH;
      if (!isDrafting || this.#unsent >= batch) this.#flush();
      if (!isDrafting) await this.#changeSince(seen);
    }
  }

  /** The last token of a text is the verifier's own in any case: a hint for it saves nothing. */
  #hasRoom(): boolean {
    return this.#hinted.length < MAX_AHEAD && this.#text.length < this.#end - 1;
  }

  /** Hints one more id. False if there is nothing to hint until something changes. */
  async #draftOne(): Promise<boolean> {
    const epoch = this.#epoch;
    const guess = this.#held ?? (await this.#ask());
    // The text changed meanwhile: ask again.
    if (epoch !== this.#epoch) return true;
    if (!guess) return false;
    this.#held = guess;
    if (this.#chanceOf(guess) < LEAST_CHANCE) return false;
    this.#held = undefined;
    this.#hinted.push(guess);
    this.#text.push(guess.id);
    this.#unsent++;
    return true;
  }

  /** The first source that is sure enough, or else the surest. */
  async #ask(): Promise<Hinted | undefined> {
    let best: Hinted | undefined;
    let bestChance = 0;
    for (const source of this.#sources) {
      const guess = await source.next(this.#text, this.#confirmed);
      if (this.#stopped) return undefined;
      if (!guess) continue;
      const chance = this.#controller.chance(source.name, guess.grade);
      if (chance > bestChance) [best, bestChance] = [{ ...guess, source: source.name }, chance];
      if (chance >= SURE_CHANCE) break;
    }
    return best;
  }

  /** The chance that `guess` and all that is hinted before it come true. */
  #chanceOf(guess: Hinted): number {
    return [...this.#hinted, guess].reduce(
      (all, { source, grade }) => all * this.#controller.chance(source, grade),
      1,
    );
  }

  /** Sends what is unsent, a frame for each stretch of one source. */
  #flush(): void {
    while (this.#unsent > 0) {
      const from = this.#hinted.length - this.#unsent;
      const { source } = this.#hinted[from]!;
      let to = from + 1;
      while (this.#hinted[to]?.source === source) to++;
      const ids = this.#hinted.slice(from, to).map(({ id }) => id);
      this.#unsent -= ids.length;
      this.#send?.({ path: this.#path, at: this.#confirmed + from, ids, source });
    }
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
