/** The draft sources of a request: who is asked, whose guess is taken, and what is learnt of each by what came true. */
import type { Controller } from "./controller.ts";
import type { Foretold } from "./foretold.ts";
import type { DraftSource } from "./source.ts";

/** A source this sure is not compared with others. */
const SURE_CHANCE = 0.6;

/** What the asker wants to know of a source that takes its time: that it is waited for, and that it has drafted an id. */
export type Listener = { waiting(): void; drafted(): void };

export class Portfolio {
  /** In the order in which they are heard. */
  readonly #sources: readonly DraftSource[];
  readonly #controller: Controller;
  /** Ids of the client's prediction that came true and that did not. */
  readonly predicted = { accepted: 0, rejected: 0 };
  #isClosed = false;

  constructor(sources: readonly DraftSource[], controller: Controller) {
    this.#sources = sources;
    this.#controller = controller;
  }

  prepare(text: readonly number[]): void {
    for (const source of this.#sources) source.prepare?.(text);
  }

  /** What follows `ids`, the first `confirmed` of them certain, by the first source that is sure enough, or else the surest. */
  async ask(ids: readonly number[], confirmed: number, listener: Listener): Promise<Foretold | undefined> {
    const place = ids.length - confirmed;
    let best: Foretold | undefined;
    let bestChance = 0;
    for (const source of this.#sources) {
      if (this.#controller.isResting(source.name, ids.length)) continue;
      let answer = source.next(ids, confirmed);
      if (answer instanceof Promise) {
        listener.waiting();
        answer = await answer;
        if (answer) listener.drafted();
      }
      if (this.#isClosed) return undefined;
      if (!answer) continue;
      const chance = this.#controller.chance(source.name, answer.grade, place);
      if (chance > bestChance) [best, bestChance] = [{ ...answer, source: source.name, place }, chance];
      if (chance >= SURE_CHANCE) break;
    }
    return best;
  }

  /** What was foretold for a position, and what stands there. */
  learn({ source, grade, place, id, runnerUp }: Foretold, confirmed: number): void {
    if (source === "prediction") this.predicted[id === confirmed ? "accepted" : "rejected"]++;
    this.#controller.learn(source, grade, id === confirmed, place);
    if (id === confirmed || !runnerUp) return;
    this.#controller.learn(source, runnerUp.grade, runnerUp.id === confirmed, place, "second");
  }

  close(): void {
    this.#isClosed = true;
    for (const source of this.#sources) source.close();
  }
}
