/** The two rows of the head that lead, by logit or by logit / temperature + noise. Equal ones go to the lowest row. */
import { largestLane } from "./lanes";
import { Model } from "./model";
import { gumbel, noiseBound } from "./noise";

/** What the searches below find. */
export let best: i32 = 0;
export let second: i32 = 0;

@inline
export function logitOf(model: Model, row: i32): f32 {
  return load<f32>(model.logits + (<usize>row << 2));
}
@inline
export function idOf(model: Model, row: i32): i32 {
  return model.headIds ? load<i32>(model.headIds + (<usize>row << 2)) : row;
}

/** The two highest logits: lane by lane first, then their rows by value (the lowest row of equal ones). */
export function findBestTwo(model: Model): void {
  const end = model.logits + (<usize>model.head.paddedRows << 2);
  let high = f32x4.splat(-Infinity);
  let next = high;
  let highB = high;
  let nextB = high;
  // Two streams, so that one does not wait for the other's comparisons.
  for (let at = model.logits; at < end; at += 32) {
    const v = v128.load(at);
    const w = v128.load(at, 16);
    next = f32x4.pmax(next, f32x4.pmin(v, high));
    high = f32x4.pmax(high, v);
    nextB = f32x4.pmax(nextB, f32x4.pmin(w, highB));
    highB = f32x4.pmax(highB, w);
  }
  next = f32x4.pmax(f32x4.pmax(next, nextB), f32x4.pmin(high, highB));
  high = f32x4.pmax(high, highB);

  const highest = largestLane(high);
  best = rowOfValue(model, highest, -1);
  // The runner-up is the highest of the other lanes' best and of the seconds; an equal value counts again.
  const leading = f32x4.eq(high, f32x4.splat(highest));
  const lanes = i32x4.bitmask(leading);
  const tied = (lanes & (lanes - 1)) != 0;
  second = rowOfValue(model, tied ? highest : largestLane(v128.bitselect(next, high, leading)), best);
}

/** The lowest row other than `except` whose logit is `value`; row 0 if there is none (no logit is a number). */
function rowOfValue(model: Model, value: f32, except: i32): i32 {
  const wanted = f32x4.splat(value);
  for (let row = 0; row < model.head.paddedRows; row += 16) {
    const at = model.logits + (<usize>row << 2);
    const a = f32x4.eq(v128.load(at), wanted);
    const b = f32x4.eq(v128.load(at, 16), wanted);
    const c = f32x4.eq(v128.load(at, 32), wanted);
    const d = f32x4.eq(v128.load(at, 48), wanted);
    if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
    let lanes = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    if (except >= 0 && (except & ~15) == row) lanes &= ~(1 << (except & 15));
    if (lanes) return min(row + ctz(lanes), model.head.rows - 1);
  }
  return 0;
}

/** The two highest scores logit / temperature + noise. Only what noiseBound() lets through gets its exact noise. */
export function findNoisyBestTwo(model: Model, temperature: f64): void {
  const inverse = f32x4.splat(<f32>(1 / temperature));
  // Starting from the two highest logits, most of the rest is out of reach from the start.
  let bestScore = <f64>logitOf(model, best) / temperature + gumbel(idOf(model, best));
  let secondScore = <f64>logitOf(model, second) / temperature + gumbel(idOf(model, second));
  const start = best;
  const startSecond = second;
  if (secondScore > bestScore || (secondScore == bestScore && second < best)) {
    const score = bestScore;
    bestScore = secondScore;
    secondScore = score;
    best = startSecond;
    second = start;
  }
  let rows = i32x4(0, 1, 2, 3);
  for (let row = 0; row < model.head.paddedRows; row += 4, rows = i32x4.add(rows, i32x4.splat(4))) {
    const at = <usize>row << 2;
    const ids = model.headIds ? v128.load(model.headIds + at) : rows;
    const scaled = f32x4.mul(v128.load(model.logits + at), inverse);
    // The bound is formed in f32, the scores in f64: a slack covers the difference.
    const slack = f32x4.splat(0.01 + 1e-6 * <f32>abs(secondScore));
    const reach = f32x4.add(f32x4.add(scaled, noiseBound(ids)), slack);
    let lanes = i32x4.bitmask(f32x4.ge(reach, f32x4.splat(<f32>secondScore)));
    for (; lanes; lanes &= lanes - 1) {
      const candidate = row + ctz(lanes);
      if (candidate == start || candidate == startSecond || candidate >= model.head.rows) continue;
      const score = <f64>logitOf(model, candidate) / temperature + gumbel(idOf(model, candidate));
      if (score > bestScore || (score == bestScore && candidate < best)) {
        second = best;
        secondScore = bestScore;
        best = candidate;
        bestScore = score;
      } else if (score > secondScore || (score == secondScore && candidate < second)) {
        second = candidate;
        secondScore = score;
      }
    }
  }
}
