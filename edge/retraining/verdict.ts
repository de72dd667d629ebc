/**
 * Whether a canary is better than what is current: looked at a few times only, each time with twice the requests.
 *
 * Looking often at a test and stopping when it pleases makes chance look like a find. So looks are counted, and each
 * is held to its share of the significance (Bonferroni).
 */
import { type Comparison, compare, type RequestSums, ratioOf } from "./ratio.ts";

export type Trial = {
  /** Requests that each arm needs at the first look; every further look needs twice those of the one before. */
  minRequests: number;
  looks: number;
  /** Chance, over all looks together, of calling equals different. */
  significance: number;
};
export type Arms = { candidate: RequestSums; baseline: RequestSums };
export type Seen = { candidate: number; baseline: number; requests: { candidate: number; baseline: number } };
export type Verdict =
  /** Too few requests for the next look. */
  | { kind: "wait"; needed: number }
  /** Looked, and not sure yet. */
  | { kind: "unsure"; seen: Seen; test: Comparison }
  /** `even`: not shown to be either at the last look. */
  | { kind: "better" | "worse" | "even"; seen: Seen; test: Comparison };

/** `looked`: how many looks there were before. */
export function verdictOf({ candidate, baseline }: Arms, looked: number, trial: Trial): Verdict {
  const needed = trial.minRequests * 2 ** looked;
  const ratios = [ratioOf(candidate), ratioOf(baseline)] as const;
  if (Math.min(candidate.requests, baseline.requests) < needed || !ratios[0] || !ratios[1])
    return { kind: "wait", needed };
  const test = compare(ratios[0], ratios[1]);
  const seen = {
    candidate: ratios[0].value,
    baseline: ratios[1].value,
    requests: { candidate: candidate.requests, baseline: baseline.requests },
  };
  if (test.p <= trial.significance / trial.looks)
    return { kind: test.difference > 0 ? "better" : "worse", seen, test };
  return { kind: looked + 1 < trial.looks ? "unsure" : "even", seen, test };
}
