/** Suites in turn, prompt by prompt, for as long as there is time. */
import type { Endpoint } from "../client.ts";
import { median, type Row, round } from "../result.ts";
import { acceptedPerStep, isIdentical, measurePair, type Pair, ratioOf, rowOf } from "./pair.ts";
import type { Suite } from "./suites.ts";

export type Measured = { rows: Row[]; summary: Record<string, Row> };

/** Of each suite at least one prompt, and then as many as end within `budgetMs`, all suites in turn. */
export async function measureInTurn(
  endpoint: Endpoint,
  suites: readonly Suite[],
  budgetMs: number,
  report: (line: string) => void,
): Promise<Measured> {
  const deadline = performance.now() + budgetMs;
  const pairs = new Map<string, Pair[]>(suites.map(({ name }) => [name, []]));
  const rounds = Math.max(0, ...suites.map(({ prompts }) => prompts.length));
  let longestMs = 0;
  for (let n = 0; n < rounds; n++) {
    for (const suite of suites) {
      const prompt = suite.prompts[n];
      const measured = pairs.get(suite.name)!;
      const began = performance.now();
      if (!prompt || (measured.length > 0 && began + longestMs > deadline)) continue;
      const pair = await measurePair(endpoint, suite, prompt, n);
      longestMs = Math.max(longestMs, performance.now() - began);
      if (!pair) continue;
      measured.push(pair);
      report(`${suite.name} ${prompt.name}: ${ratioOf(pair).toFixed(2)}`);
    }
  }
  const whole = [...pairs].filter(([, list]) => list.length > 0);
  return {
    rows: whole.flatMap(([suite, list]) => list.map((pair) => rowOf(suite, pair))),
    summary: Object.fromEntries(whole.map(([suite, list]) => [suite, summarise(list)])),
  };
}

const summarise = (pairs: readonly Pair[]): Row => ({
  plain_tok_s: round(median(pairs.map((pair) => pair.plain.tokS)), 1),
  drafts_tok_s: round(median(pairs.map((pair) => pair.drafts.tokS)), 1),
  ratio: round(median(pairs.map(ratioOf)), 3),
  accepted_per_step: round(median(pairs.map(acceptedPerStep)), 3),
  identical: pairs.every(isIdentical),
});
