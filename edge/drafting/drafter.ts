/** Drafts ahead of the last confirmed token for one sequence, and never waits for an answer before drafting on. */
import { MAX_HINT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { Hint } from "../link/link.ts";
import { Controller } from "./controller.ts";
import { DraftedText } from "./drafted-text.ts";
import { Effort } from "./effort.ts";
import type { Foretold } from "./foretold.ts";
import { Growth } from "./growth.ts";
import { Portfolio } from "./portfolio.ts";
import { bytesOf, isDue } from "./sending.ts";
import type { DraftSource } from "./source.ts";

export type SendHint = (hint: Hint) => void;
/** What a completion needs of whoever drafts for it. */
export interface Drafter {
  /** Begins what can be done before the sequence is open. */
  prepare(): void;
  /** The sequence is open (again): hints go to `send` from now on. */
  start(send: SendHint): void;
  /** The text goes on with `ids`. */
  confirm(ids: readonly number[]): void;
  /** Ids that the client's prediction foretold rightly and wrongly. */
  readonly predicted?: { accepted: number; rejected: number };
  /** Gives everything back. May be called twice. */
  stop(): void;
}

/** Most ids hinted beyond the confirmed end: some steps' worth for a source that is nearly always right. */
const MAX_AHEAD = 96;

export class PortfolioDrafter implements Drafter {
  readonly #portfolio: Portfolio;
  readonly #controller = new Controller();
  readonly #effort = new Effort();
  readonly #text: DraftedText;
  readonly #growth: Growth;
  /** Where the text must end: prompt plus the cap on output. */
  readonly #end: number;
  #send: SendHint | undefined;
  #stopped = false;
  /** Counts what #run() may have to react to, so that none of it is missed between two of its steps. */
  #changes = 0;
  #wake: (() => void) | undefined;

  /** `sources`: in the order in which they are heard. */
  constructor(prompt: readonly number[], maxTokens: number, sources: readonly DraftSource[]) {
    this.#text = new DraftedText(prompt);
    this.#growth = new Growth(this.#text, this.#controller);
    this.#end = prompt.length + maxTokens;
    this.#portfolio = new Portfolio(sources, this.#controller);
  }

  get predicted(): { accepted: number; rejected: number } {
    return this.#portfolio.predicted;
  }

  prepare(): void {
    try {
      this.#portfolio.prepare(this.#text.ids);
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
      const { foretold } = this.#text.confirm(id);
      if (foretold) this.#portfolio.learn(foretold, id);
    }
    this.#effort.confirmed(ids.length);
    this.#changed();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#changed();
    this.#portfolio.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const seen = this.#changes;
      const isDrafting = await this.#draftOne();
      if (this.#stopped) return;
      if (isDrafting ? this.#text.unsent >= MAX_HINT_IDS : isDue(this.#text, true)) this.#flush();
      if (isDrafting) continue;
      this.#effort.idle();
      await this.#changeSince(seen);
    }
  }

  /** Adds one more id where the tree is likeliest to be reached. False if nothing is worth it until something changes. */
  async #draftOne(): Promise<boolean> {
    const { held, epoch } = this.#text;
    const branch = this.#growth.bestBranch(this.#effort.leastReach);
    const goesOn = this.#hasRoom() && !this.#text.isOver && (!held || this.#isWorthHinting(held));
    if (goesOn && this.#growth.mainReach >= (branch?.reach ?? 0)) {
      if (await this.#extendMain()) return true;
    }
    if (!branch) return false;
    // The main line may have been asked for in vain, and the text have gone on meanwhile.
    if (epoch !== this.#text.epoch || this.#text.confirmed > branch.at) return true;
    return this.#extendBranch(branch.at);
  }

  /** The last token of a text is the verifier's own in any case: a hint for it saves nothing. */
  #hasRoom(): boolean {
    return this.#text.hinted.length < MAX_AHEAD && this.#text.ids.length < this.#end - 1;
  }

  async #extendMain(): Promise<boolean> {
    const text = this.#text;
    const { epoch } = text;
    const guess = text.held ?? (await this.#ask(text.ids));
    // The text changed meanwhile: ask again.
    if (epoch !== text.epoch) return true;
    if (!guess) {
      text.isOver = true;
      return false;
    }
    // Not worth sending now, its chance may rise as the ids before it are confirmed.
    text.held = guess;
    const isWorthy = this.#isWorthHinting(guess);
    if (text.hinted.length === 0) this.#controller.judge(guess.source, isWorthy, text.ids.length);
    if (isWorthy) text.hint(guess);
    return isWorthy;
  }

  async #extendBranch(at: number): Promise<true> {
    const text = this.#text;
    const { epoch } = text;
    const ids = text.branchText(at);
    const guess = ids.length < this.#end - 1 ? await this.#ask(ids) : undefined;
    // The text went on meanwhile, along the main line or not.
    if (epoch !== text.epoch || text.confirmed > at) return true;
    text.branch(at, guess);
    return true;
  }

  #isWorthHinting(guess: Foretold): boolean {
    return this.#growth.isWorthHinting(guess, this.#effort.leastReach);
  }

  #ask(ids: readonly number[]): Promise<Foretold | undefined> {
    return this.#portfolio.ask(ids, this.#text.confirmed, {
      // What is drafted already does not wait for a source that takes its time.
      waiting: () => isDue(this.#text, false) && this.#flush(),
      drafted: () => this.#effort.drafted(),
    });
  }

  #flush(): void {
    for (const hint of this.#text.takeUnsent()) {
      this.#effort.sent(bytesOf(hint));
      this.#send?.(hint);
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
