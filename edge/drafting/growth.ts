/**
 * Where a drafted tree grows next: at its likeliest end. The main line is one end; each refusal that is thinkable,
 * with the runner-up there, is another.
 *
 * By the time that what is drafted now is of use, the verifier has confirmed some tokens more (`distance`): ids up to
 * there cost it nothing and only open the way, and a branch that is there in time saves as many tokens.
 */
import type { Controller } from "./controller.ts";
import type { Branch, DraftedText, Foretold } from "./drafted-text.ts";
import type { Effort } from "./effort.ts";

/** A guess is hinted while the chance of it and of those before it, given what is confirmed by then, is at least this. */
const LEAST_CHANCE = 0.03;
/** ... and the chance of it and of all before it this: below that it is hardly ever looked at. */
const LEAST_REACH = 0.02;
/**
 * The chance at which a branch is worth its work and its bytes at a distance of one token. Nearer, the same time is
 * better spent on being ready for a refusal, and a branch saves little; further away it saves much.
 */
const LEAST_BRANCH_REACH = 0.03;
/** Less likely first ids open the way to nothing. */
const LEAST_FIRST_CHANCE = 0.2;
export const MAX_BRANCHES = 6;
export const MAX_BRANCH_IDS = 48;

export class Growth {
  readonly #text: DraftedText;
  readonly #controller: Controller;
  readonly #effort: Effort;

  constructor(text: DraftedText, controller: Controller, effort: Effort) {
    this.#text = text;
    this.#controller = controller;
    this.#effort = effort;
  }

  /** The chance that the text reaches the end of the main line. */
  get mainReach(): number {
    return this.#reach(this.#text.hinted);
  }

  /** Whether the next id of the main line should be hinted. */
  isWorthHinting(guess: Foretold, distance: number): boolean {
    const { hinted } = this.#text;
    if (hinted.length === 0) return this.#chance(guess) >= LEAST_FIRST_CHANCE;
    const chance = this.#reach(hinted.slice(Math.max(1, Math.round(distance)))) * this.#chance(guess);
    const leastReach = Math.max(LEAST_REACH, this.#effort.leastReach) / Math.max(1, distance);
    return chance >= LEAST_CHANCE && this.mainReach * this.#chance(guess) >= leastReach;
  }

  /** The position of the likeliest branch that is worth another id, and its chance; undefined where none is. */
  bestBranch(distance: number): { at: number; reach: number } | undefined {
    const { hinted, branches, confirmed } = this.#text;
    let best: { at: number; reach: number } | undefined;
    let reach = 1;
    const leastBranchReach = Math.max(LEAST_BRANCH_REACH, this.#effort.leastReach) / distance ** 2;
    const count = branches.filter(({ ids }) => ids.length > 1).length;
    hinted.forEach((main, i) => {
      const branch = branches.find(({ at }) => at === confirmed + i);
      const chance = reach * this.#chanceOfBranch(main, branch);
      reach *= this.#chance(main);
      const isOpen = branch ? !branch.isOver && branch.ids.length < MAX_BRANCH_IDS : count < MAX_BRANCHES;
      if (isOpen && chance > (best?.reach ?? leastBranchReach)) best = { at: confirmed + i, reach: chance };
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
