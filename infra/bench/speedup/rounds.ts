/** Suites in turn, prompt by prompt, for as long as there is time. */
import type { Endpoint } from "../client.ts";
import { median, type Row, round } from "../result.ts";
import { acceptedPerStep, isIdentical, measurePair, type Pair, ratioOf, rowOf } from "./pair.ts";
import type { Suite } from "./suites.ts";

const MOST_TRIES = 4;

export type Measured = { rows: Row[]; summary: Record<string, Row> };

type Turn = { suite: Suite; pairs: Pair[]; next: number };

/** Of each suite at least one prompt, and then as many as end within `budgetMs`, all suites in turn. */
export async function measureInTurn(
  endpoint: Endpoint,
  suites: readonly Suite[],
  budgetMs: number,
  report: (line: string) => void,
): Promise<Measured> {
  const deadline = performance.now() + budgetMs;
  const turns = suites.map((suite): Turn => ({ suite, pairs: [], next: 0 }));
  let longestMs = 0;
  for (let isFirst = true; turns.some(hasPrompts); isFirst = false) {
    for (const turn of turns.filter(hasPrompts)) {
      const began = performance.now();
      if (!isFirst && began + longestMs > deadline) return summed(turns);
      const pair = await measureNext(endpoint, turn);
      longestMs = Math.max(longestMs, performance.now() - began);
      if (pair) report(`${turn.suite.name} ${pair.prompt}: ${ratioOf(pair).toFixed(2)}`);
    }
  }
  return summed(turns);
}

const hasPrompts = ({ suite, next }: Turn): boolean => next < suite.prompts.length;

/** The suite's next prompt whose text says something; undefined where some in turn have none. */
async function measureNext(endpoint: Endpoint, turn: Turn): Promise<Pair | undefined> {
  for (let tries = 0; tries < MOST_TRIES && hasPrompts(turn); tries++) {
    const n = turn.next++;
    const pair = await measurePair(endpoint, turn.suite, turn.suite.prompts[n]!, n);
    if (!pair) continue;
    turn.pairs.push(pair);
    return pair;
  }
  return undefined;
}

function summed(turns: readonly Turn[]): Measured {
  const whole = turns.filter(({ pairs }) => pairs.length > 0);
  return {
    rows: whole.flatMap(({ suite, pairs }) => pairs.map((pair) => rowOf(suite.name, pair))),
    summary: Object.fromEntries(whole.map(({ suite, pairs }) => [suite.name, summarise(pairs)])),
  };
}

const summarise = (pairs: readonly Pair[]): Row => ({
  plain_tok_s: round(median(pairs.map((pair) => pair.plain.tokS)), 1),
  drafts_tok_s: round(median(pairs.map((pair) => pair.drafts.tokS)), 1),
  ratio: round(median(pairs.map(ratioOf)), 3),
  accepted_per_step: round(median(pairs.map(acceptedPerStep)), 3),
  identical: pairs.every(isIdentical),
});
