/** What drafting did for one request: sent to a client that asks with `x-outrider-details: 1`. */
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";
import type { DraftState } from "../releases/loader.ts";

export type Details = {
  /** The seed as it was used; sending it again gives the same text. */
  seed: string;
  /** The draft release that the request began with; null: no model drafts. */
  release: string | null;
  /** Why there were no model drafts, where that is known. */
  note: string | null;
  /** Target steps, null where the verifier's account did not arrive. */
  steps: number | null;
  /** Hinted tokens verified and confirmed, by source. */
  drafted: Record<string, number>;
  accepted: Record<string, number>;
  /** How many steps confirmed 0, 1, 2, … hinted tokens; null like `steps`. */
  accepted_lengths: number[] | null;
  /** Milliseconds by the verifier's clock. */
  timings: DoneFrame["timings"] | null;
};

export function detailsOf(seed: string, drafts: DraftState, report: DoneFrame | null): Details {
  return {
    seed,
    release: drafts.release,
    note: drafts.note,
    steps: report?.counts.steps ?? null,
    drafted: totals(report?.counts.drafted),
    accepted: totals(report?.counts.accepted),
    accepted_lengths: report && acceptedLengths(report.counts),
    timings: report?.timings ?? null,
  };
}

const totals = (counts: DoneFrame["counts"]["drafted"] = {}): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([source, byPosition]) => [source, sum(byPosition ?? [])]));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** From how many steps confirmed their hint's first token, its second, and so on. */
function acceptedLengths({ steps, accepted }: DoneFrame["counts"]): number[] {
  const atLeast = [steps];
  for (const counts of Object.values(accepted)) {
    counts?.forEach((count, place) => {
      atLeast[place + 1] = (atLeast[place + 1] ?? 0) + count;
    });
  }
  while (atLeast.length > 1 && atLeast.at(-1) === 0) atLeast.pop();
  return atLeast.map((count, length) => count - (atLeast[length + 1] ?? 0));
}
