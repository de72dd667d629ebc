/** What a demonstration has shown: in words, and as the benchmarks' figures. */
import { type Result, type Row, round } from "../bench/result.ts";
import type { Demonstration } from "./demonstrate.ts";
import type { Judged } from "./judge.ts";

/** By how much of the held-out ids the new draft must foresee more than the old one. */
export const GAIN = 0.1;

export function figuresOf(shown: Demonstration): Pick<Result, "rows" | "summary"> {
  const { before, after, phases, minutes, books } = shown;
  const row = (judged: Judged): Row => ({
    release: judged.release,
    greedy: round(judged.greedy, 3),
    drafted: judged.drafted,
    accepted: round(judged.accepted, 3),
    tokens_per_step: round(judged.tokens_per_step, 2),
  });
  return {
    rows: [row(before), row(after), ...phases.map(({ phase, seconds }) => ({ phase, seconds }))],
    summary: {
      ...{ before: round(before.greedy, 3), after: round(after.greedy, 3) },
      minutes: round(minutes, 2),
      failed_completions: books.failures.length,
    },
  };
}

export function storyOf({ before, after, held, changed, verdict, minutes, books }: Demonstration): string {
  const gain = after.greedy - before.greedy;
  const failed = books.failures.length;
  return [
    `${held} held-out requests (heads of classes), greedy, served through the whole path`,
    line("before", before),
    line("after", after),
    `gain ${gain >= 0 ? "+" : ""}${gain.toFixed(3)} (wanted: +${GAIN.toFixed(2)}); ${verdict}`,
    `${minutes.toFixed(1)} minutes, ${books.completions} completions, ${failed} failed, ${changed} texts changed`,
    ...books.failures.slice(0, 5),
  ].join("\n");
}

const line = (name: string, { release, greedy, drafted, accepted, tokens_per_step }: Judged): string =>
  [
    `${name.padEnd(8)}${percent(greedy).padStart(6)} of all ids foreseen`,
    `${percent(accepted)} of ${drafted} drafted ids accepted`,
    `${tokens_per_step.toFixed(2)} tokens a step`,
    release,
  ].join("   ");

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
