/** Drafts ahead of the last confirmed token for one sequence, and never waits for an answer before drafting on. */
import { MAX_HINT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { Hint } from "../link/link.ts";
import { Controller } from "./controller.ts";
import { Distance } from "./distance.ts";
import { DraftedText, type Foretold, isUnsent } from "./drafted-text.ts";
import { Effort } from "./effort.ts";
import { Growth } from "./growth.ts";
import type { DraftSource } from "./source.ts";

export type SendHint = (hint: Hint) => void;
/** What a completion needs of whoever drafts for it. */
export interface Drafter {
  /** Begins what can be done before the sequence is open. */
  prepare(): void;
  /** The sequence is open (again): hints go to `send` from now on. */
  start(send: SendHint): void;
  /** The text goes on with `ids`; hints had saved the first `accepted` of them a step of their own. */
  confirm(ids: readonly number[], accepted?: number): void;
  /** Ids that the client's prediction foretold rightly and wrongly. */
  readonly predicted?: { accepted: number; rejected: number };
  /** Gives everything back. May be called twice. */
  stop(): void;
}

/** Most ids hinted beyond the confirmed end: some steps' worth for a source that is nearly always right. */
const MAX_AHEAD = 96;
/** A source this sure is not compared with others. */
const SURE_CHANCE = 0.6;
/** Bytes up per confirmed token beyond which no branches are drafted: far away, where each saves more, it may be more. */
const UPLINK = { bytes: 16, bytesPerDistance: 24, frame: 18, id: 6 };

export class PortfolioDrafter implements Drafter {
  /** In the order in which they are heard. */
  readonly #sources: readonly DraftSource[];
  readonly predicted = { accepted: 0, rejected: 0 };
  readonly #controller = new Controller();
  readonly #distance = new Distance();
  readonly #effort = new Effort();
  readonly #text: DraftedText;
  readonly #growth: Growth;
  /** Where the text must end: prompt plus the cap on output. */
  readonly #end: number;
  readonly #begin: number;
  #sentBytes = 0;
  #send: SendHint | undefined;
  #stopped = false;
  /** Counts what #run() may have to react to, so that none of it is missed between two of its steps. */
  #changes = 0;
  #wake: (() => void) | undefined;

  constructor(prompt: readonly number[], maxTokens: number, sources: readonly DraftSource[]) {
    this.#text = new DraftedText(prompt);
    this.#growth = new Growth(this.#text, this.#controller, this.#effort);
    this.#begin = prompt.length;
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

  confirm(ids: readonly number[], accepted = 0): void {
    let came = 0;
    for (const id of ids) {
      const { foretold, kind } = this.#text.confirm(id);
      if (foretold) this.#learn(foretold, id);
      if (kind === "came") came++;
      if (kind === "refused") this.#distance.began();
    }
    this.#distance.confirmed(came, accepted);
    this.#effort.confirmed();
    this.#changed();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#changed();
    for (const source of this.#sources) source.close();
  }

  #learn({ source, grade, place, id, runnerUp }: Foretold, confirmed: number): void {
    if (source === "prediction") this.predicted[id === confirmed ? "accepted" : "rejected"]++;
    this.#controller.learn(source, grade, id === confirmed, place);
    if (id === confirmed || !runnerUp) return;
    this.#controller.learn(source, runnerUp.grade, runnerUp.id === confirmed, place, "second");
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
    const branch = this.#mayBranch() ? this.#growth.bestBranch(this.#distance.tokens) : undefined;
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

  #mayBranch(): boolean {
    const tokens = this.#text.confirmed - this.#begin + 8;
    return this.#sentBytes <= tokens * (UPLINK.bytes + UPLINK.bytesPerDistance * this.#distance.tokens);
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
    return this.#growth.isWorthHinting(guess, this.#distance.tokens);
  }

  /** The first source that is sure enough, or else the surest. */
  async #ask(ids: readonly number[]): Promise<Foretold | undefined> {
    const { confirmed } = this.#text;
    const place = ids.length - confirmed;
    let best: Foretold | undefined;
    let bestChance = 0;
    for (const source of this.#sources) {
      if (this.#controller.isResting(source.name, ids.length)) continue;
      let answer = source.next(ids, confirmed);
      if (answer instanceof Promise) {
        // What is drafted already does not wait for a source that takes its time.
        if (isDue(this.#text, false)) this.#flush();
        answer = await answer;
        this.#effort.drafted();
      }
      if (this.#stopped) return undefined;
      if (!answer) continue;
      const chance = this.#controller.chance(source.name, answer.grade, place);
      if (chance > bestChance) [best, bestChance] = [{ ...answer, source: source.name, place }, chance];
      if (chance >= SURE_CHANCE) break;
    }
    return best;
  }

  #flush(): void {
    for (const hint of this.#text.takeUnsent()) {
      const ids = (hint.branches ?? []).reduce((sum, branch) => sum + 1 + branch.ids.length, hint.ids.length);
      this.#sentBytes += UPLINK.frame + UPLINK.id * ids;
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

/**
 * Whether what the verifier does not know yet should go out now. The first two ids of a path go at once: the second
 * can save a step. Where much is there already, more is sent in larger frames. `isIdle`: nothing is being drafted.
 */
function isDue({ hinted, unsent, branches }: DraftedText, isIdle: boolean): boolean {
  const known = hinted.length - unsent;
  // What a branch has is sent again with what it grew by: each time it has doubled, or when nothing more is drafted.
  if (branches.some((one) => isUnsent(one) && (isIdle || one.ids.length >= 2 * Math.max(2, one.sent))))
    return true;
  const batch = known < 2 ? 2 - known : known < 16 ? 4 : 12;
  return unsent >= batch || (isIdle && unsent > 0 && known < 16);
}
