/**
 * Which token the target says: argmax over the allowed tokens of logit / temperature + noise.
 *
 * A pure function of (logits, settings, seed, position, tokens before): nothing that was drafted enters it.
 * Temperature 0 is plain argmax. Ties go to the lowest id.
 */
import type { LogprobEntry, Sampling } from "./frames.ts";
import { gumbel, gumbelBound, MAX_GUMBEL, noiseBits, type PositionKey, positionKey } from "./noise.ts";

/** The token at `position`. `logits`: f32[vocabulary], penalties and bias applied already; left unchanged. */
export function chooseToken(
  logits: Float32Array,
  sampling: Sampling,
  seed: bigint,
  position: number,
): number {
  if (sampling.temperature === 0) return argmax(logits);
  const key = positionKey(seed, position);
  const restricted = sampling.top_k > 0 || sampling.top_p < 1 || sampling.min_p > 0;
  if (!restricted) return noisyArgmax(logits, sampling.temperature, key);
  return noisyArgmaxAmong(allowedTokens(logits, sampling), logits, sampling.temperature, key);
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

/** A token is hashed only if the largest noise could make it win, and gets a logarithm only if its leading bits could. */
function noisyArgmax(logits: Float32Array, temperature: number, key: PositionKey): number {
  let best = argmax(logits);
  let bestScore = logits[best]! / temperature + gumbel(noiseBits(key, best));
  for (let id = 0; id < logits.length; id++) {
    const scaled = logits[id]! / temperature;
    if (scaled + MAX_GUMBEL < bestScore) continue;
    const bits = noiseBits(key, id);
    if (scaled + gumbelBound(bits) < bestScore) continue;
    const score = scaled + gumbel(bits);
    if (score > bestScore || (score === bestScore && id < best)) {
      bestScore = score;
      best = id;
    }
  }
  return best;
}

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
    if (score > bestScore || (score === bestScore && id < best)) {
      bestScore = score;
      best = id;
    }
  }
  return best;
}

/** Ids that top-k, then top-p, then min-p leave, likeliest first. Never empty. */
export function allowedTokens(logits: Float32Array, sampling: Sampling): number[] {
  const { temperature, top_k, top_p, min_p } = sampling;
  const highest = logits[argmax(logits)]!;
  let total = 0;
  if (top_k === 0) for (const logit of logits) total += Math.exp((logit - highest) / temperature);
  // The likeliest tokens lie close below the highest logit: sort only those, and look further down if too few.
  for (const depth of [4, 8, 16, 32, Number.POSITIVE_INFINITY]) {
    let ranked = idsAbove(logits, highest - depth * temperature);
    if (top_k > 0) {
      if (ranked.length < Math.min(top_k, logits.length)) continue;
      ranked = ranked.slice(0, top_k);
      total = ranked.reduce((sum, id) => sum + Math.exp((logits[id]! - highest) / temperature), 0);
    }
    const nucleus = takeNucleus(ranked, logits, highest, temperature, top_p * total);
    const complete = nucleus.length < ranked.length || ranked.length === logits.length || top_k > 0;
    if (!complete && depth !== Number.POSITIVE_INFINITY) continue;
    return nucleus.filter((id) => Math.exp((logits[id]! - highest) / temperature) >= min_p);
  }
  return [argmax(logits)];
}

/** The shortest prefix of `ranked` whose unnormalised mass reaches `mass`. */
function takeNucleus(
  ranked: number[],
  logits: Float32Array,
  highest: number,
  temperature: number,
  mass: number,
): number[] {
  let sum = 0;
  for (let n = 0; n < ranked.length; n++) {
    sum += Math.exp((logits[ranked[n]!]! - highest) / temperature);
    if (sum >= mass) return ranked.slice(0, n + 1);
  }
  return ranked;
}

function idsAbove(logits: Float32Array, least: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id]! >= least) ids.push(id);
  return ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
}

/** Log probability of `id` and the `top` likeliest ids under softmax(logits), natural logarithm. */
export function logprobsOf(logits: Float32Array, id: number, top: number): LogprobEntry {
  const highest = logits[argmax(logits)]!;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - highest);
  const norm = highest + Math.log(sum);
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
