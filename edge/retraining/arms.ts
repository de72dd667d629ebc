/** The two sides of a canary's trial, out of the statistics of all completions. Model drafts only: the rest is no release's. */
import type { Statistics } from "../../gpu-service/protocol/statistics.ts";
import { NO_REQUESTS, type RequestSums } from "./ratio.ts";
import type { Arms } from "./verdict.ts";

/**
 * The candidate's completions are those that began with it. The baseline's are those of the current arm that began
 * with the baseline: what the canary's arm did with it, while it was loading the canary, is neither's.
 */
export function armsOf(
  { data }: Statistics,
  { candidate, baseline }: { candidate: string; baseline: string },
): Arms {
  const model = data.filter(({ source }) => source === "model");
  return {
    candidate: total(model.filter(({ release }) => release === candidate)),
    baseline: total(model.filter(({ release, arm }) => release === baseline && arm === "current")),
  };
}

const total = (rows: readonly RequestSums[]): RequestSums =>
  rows.reduce<RequestSums>(
    (sums, row) => ({
      requests: sums.requests + row.requests,
      drafted: sums.drafted + row.drafted,
      accepted: sums.accepted + row.accepted,
      drafted_squares: sums.drafted_squares + row.drafted_squares,
      accepted_squares: sums.accepted_squares + row.accepted_squares,
      products: sums.products + row.products,
    }),
    NO_REQUESTS,
  );
