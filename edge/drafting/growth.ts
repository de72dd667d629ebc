/**
 * Where a drafted tree grows next: at its likeliest end. The main line is one end; each refusal that is thinkable,
 * with the runner-up there, is another. The chance that the text reaches an id is what the id is worth, wherever it
 * stands: the step of the verifier that it can save. One threshold for all of them says whether that is enough.
 */
import type { Controller } from "./controller.ts";
import type { DraftedText } from "./drafted-text.ts";
import type { Branch, Foretold } from "./foretold.ts";

/** Less likely first ids open the way to nothing. */
const LEAST_FIRST_CHANCE = 0.2;
export const MAX_BRANCHES = 6;
export const MAX_BRANCH_IDS = 48;

/** The end of a branch: the position where it leaves the main line, and the chance that the text gets to its end. */
export type BranchEnd = { at: number; reach: number };

export class Growth {
  readonly #text: DraftedText;
  readonly #controller: Controller;

  constructor(text: DraftedText, controller: Controller) {
    this.#text = text;
    this.#controller = controller;
  }

  /** The chance that the text reaches the end of the main line. */
  get mainReach(): number {
    return this.#reach(this.#text.hinted);
  }

  /** Whether the next id of the main line should be hinted, where an id has to be reached with chance `leastReach`. */
  isWorthHinting(guess: Foretold, leastReach: number): boolean {
    const chance = this.#chance(guess);
    return this.#text.hinted.length === 0
      ? chance >= LEAST_FIRST_CHANCE
      : this.mainReach * chance >= leastReach;
  }

  /** The likeliest branch that is worth another id; undefined where none is. */
  bestBranch(leastReach: number): BranchEnd | undefined {
    const { hinted, branches, confirmed } = this.#text;
    const count = branches.filter(({ ids }) => ids.length > 1).length;
    let best: BranchEnd | undefined;
    let reach = 1;
    hinted.forEach((main, i) => {
      const branch = branches.find(({ at }) => at === confirmed + i);
      const chance = reach * this.#chanceOfBranch(main, branch);
      reach *= this.#chance(main);
      const isOpen = branch ? !branch.isOver && branch.ids.length < MAX_BRANCH_IDS : count < MAX_BRANCHES;
      if (isOpen && chance > (best?.reach ?? leastReach)) best = { at: confirmed + i, reach: chance };
    });
    return best;
  }

  #chanceOfBranch(main: Foretold, branch: Branch | undefined): number {
    if (!main.runnerUp) return 0;
    const { source, place, runnerUp } = main;
    const turn = (1 - this.#chance(main)) * this.#controller.chance(source, runnerUp.grade, place, "second");
    return turn * this.#reach(branch?.ids.slice(1) ?? []);
  }

  #reach(guesses: readonly Foretold[]): number {
    return guesses.reduce((all, guess) => all * this.#chance(guess), 1);
  }

  #chance({ source, grade, place }: Foretold): number {
    return this.#controller.chance(source, grade, place);
  }
}
