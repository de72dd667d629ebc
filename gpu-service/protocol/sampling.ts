/**
 * Which token the target says: argmax over the allowed tokens of logit / temperature + noise.
 *
 * A pure function of (logits, settings, seed, position, tokens before): nothing that was drafted enters it.
 * Temperature 0 is plain argmax. Ties go to the lowest id.
 */
import { expSum } from "./exponential.ts";
import type { LogprobEntry, Sampling } from "./frames.ts";
import { gumbel, gumbelBound, MAX_GUMBEL, noiseBits, type PositionKey, positionKey } from "./noise.ts";
import { allowedTokens, isTruncated } from "./truncation.ts";

/** Far more than rounding can be, far less than matters for speed. */
const SLACK = 1e-6;

/** The token at `position`. `logits`: f32[vocabulary], penalties and bias applied already; left unchanged. */
export function chooseToken(
  logits: Float32Array,
  sampling: Sampling,
  seed: bigint,
  position: number,
): number {
  if (sampling.temperature === 0) return argmax(logits);
  const key = positionKey(seed, position);
  if (!isTruncated(sampling)) return noisyArgmax(logits, sampling.temperature, key);
  const allowed = allowedTokens(logits, sampling, logits[argmax(logits)]!);
  return noisyArgmaxAmong(allowed, logits, sampling.temperature, key);
}

/** Applies presence and frequency penalties and logit bias in place. `counts`: how often each output id occurred. */
export function penalise(
  logits: Float32Array,
  sampling: Sampling,
  counts: ReadonlyMap<number, number>,
): void {
  if (sampling.presence_penalty !== 0 || sampling.frequency_penalty !== 0) {
    for (const [id, count] of counts) {
      logits[id] = logits[id]! - sampling.presence_penalty - sampling.frequency_penalty * count;
    }
  }
  for (const [id, bias] of sampling.logit_bias) {
    if (id < logits.length) logits[id] = logits[id]! + bias;
  }
}

export const hasPenalties = (s: Sampling): boolean =>
  s.presence_penalty !== 0 || s.frequency_penalty !== 0 || s.logit_bias.length > 0;

export function argmax(values: Float32Array): number {
  let best = 0;
  let bestValue = values[0]!;
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value > bestValue) {
      bestValue = value;
      best = i;
    }
  }
  return best;
}

/**
 * One pass, lowest id first, so that a tie stays with the lower one. A token is hashed only if the largest noise
 * could make it win, and gets a logarithm only if its leading bits could; both bounds are a little loose, so that
 * rounding cannot lose the winner.
 */
function noisyArgmax(logits: Float32Array, temperature: number, key: PositionKey): number {
  const inverse = 1 / temperature;
  let best = 0;
  let bestScore = logits[0]! / temperature + gumbel(noiseBits(key, 0));
  let least = (bestScore - MAX_GUMBEL) * temperature - SLACK;
  for (let id = 1; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit < least) continue;
    const bits = noiseBits(key, id);
    if (logit * inverse + gumbelBound(bits) + SLACK < bestScore) continue;
    const score = logit / temperature + gumbel(bits);
    if (score > bestScore) {
      bestScore = score;
      best = id;
      least = (bestScore - MAX_GUMBEL) * temperature - SLACK;
    }
  }
  return best;
}

/** `ids`: ascending. */
function noisyArgmaxAmong(
  ids: readonly number[],
  logits: Float32Array,
  temperature: number,
  key: PositionKey,
): number {
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const id of ids) {
    const score = logits[id]! / temperature + gumbel(noiseBits(key, id));
    if (score > bestScore) {
      bestScore = score;
      best = id;
    }
  }
  return best;
}

/** Log probability of `id` and the `top` likeliest ids under softmax(logits), natural logarithm. */
export function logprobsOf(logits: Float32Array, id: number, top: number): LogprobEntry {
  const highest = logits[argmax(logits)]!;
  const norm = highest + Math.log(expSum(logits, highest, 1));
  const value = (i: number) => Math.min(0, logits[i]! - norm);
  return { logprob: value(id), top: topIds(logits, top).map((i) => [i, value(i)]) };
}

/** The `count` ids with the highest logits, highest first, ties to the lower id. */
export function topIds(logits: Float32Array, count: number): number[] {
  const best: number[] = [];
  if (count === 0) return best;
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[id]! <= logits[best[count - 1]!]!) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]!]! < logits[id]!) at--;
    best.splice(at, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}
