/**
 * Which tokens top-k, then top-p, then min-p leave.
 *
 * Each leaves a prefix of the ids ranked by logit (ties: the lower id first), so the answer is a number of ids
 * and the logit of the last: values are ranked as a typed array, and only those near the top.
 */
import { expSum } from "./exponential.ts";
import type { Sampling } from "./frames.ts";

/** How far below the highest logit to look, in temperatures: further only if the ids there do not suffice. */
const DEPTHS = [8, 16, Number.POSITIVE_INFINITY];

let scratch = new Int32Array(1024);

export const isTruncated = (s: Sampling): boolean => s.top_k > 0 || s.top_p < 1 || s.min_p > 0;

/** Allowed ids, ascending; never empty. Temperature is above 0. `highest`: the largest logit. */
export function allowedTokens(logits: Float32Array, sampling: Sampling, highest: number): number[] {
  const { temperature, top_k, top_p, min_p } = sampling;
  const floor = min_p > 0 ? highest + temperature * Math.log(min_p) : Number.NEGATIVE_INFINITY;
  if (top_k === 0 && top_p === 1) return [...idsFrom(logits, floor)];
  // Without top-k the nucleus is a share of all tokens; with it, of the k that are left.
  const total = top_k === 0 ? expSum(logits, highest, temperature) : 0;
  for (const depth of DEPTHS) {
    const ids = idsFrom(logits, highest - depth * temperature);
    const ranked = rank(logits, ids);
    const kept = countKept(ranked, sampling, highest, total);
    if (kept === undefined && ids.length < logits.length) continue;
    return firstOf(ids, logits, ranked, kept ?? ranked.length).filter((id) => logits[id]! >= floor);
  }
  throw new Error("logits: none is a number");
}

/** How many of the ranked logits top-k and top-p leave; undefined if that takes more than there are. */
function countKept(
  ranked: Float32Array,
  sampling: Sampling,
  highest: number,
  total: number,
): number | undefined {
  const { top_k, top_p, temperature } = sampling;
  if (top_k > 0 && ranked.length < top_k) return undefined;
  const most = top_k > 0 ? top_k : ranked.length;
  if (top_p === 1) return most;
  const share = top_k > 0 ? expSum(ranked.subarray(0, most), highest, temperature) : total;
  let sum = 0;
  for (let n = 0; n < most; n++) {
    sum += Math.exp((ranked[n]! - highest) / temperature);
    if (sum >= top_p * share) return n + 1;
  }
  return top_k > 0 ? most : undefined;
}

/** Of `ids` (ascending) those with the `count` highest logits; `ranked`: their logits, highest first. */
function firstOf(ids: Int32Array, logits: Float32Array, ranked: Float32Array, count: number): number[] {
  const last = ranked[count - 1]!;
  let ties = 0;
  for (let n = count - 1; n >= 0 && ranked[n] === last; n--) ties++;
  const kept: number[] = [];
  for (const id of ids) if (logits[id]! > last || (logits[id] === last && ties-- > 0)) kept.push(id);
  return kept;
}

/** Ids whose logit is at least `least`, ascending. Valid until the next call. */
function idsFrom(logits: Float32Array, least: number): Int32Array {
  if (scratch.length < logits.length) scratch = new Int32Array(logits.length);
  let count = 0;
  for (let id = 0; id < logits.length; id++) if (logits[id]! >= least) scratch[count++] = id;
  return scratch.subarray(0, count);
}

/** Their logits, highest first. */
const rank = (logits: Float32Array, ids: Int32Array): Float32Array =>
  Float32Array.from(ids, (id) => logits[id]!)
    .sort()
    .reverse();
