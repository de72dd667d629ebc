/**
 * Attention of one token over the positions up to its own, head by head:
 *   scores  = q · k / √headDim                 int8 × int8 per position
 *   weights = softmax(scores) · value scale    as bytes 0..127, one scale per page
 *   out     = weights · v                      int8 × int8 per page
 * Heads are grouped (GQA): heads / kvHeads query heads read the same keys and values.
 */
import { KEY_ZERO, keyScalesOf, panelAt, quantiseHead, valueScalesOf, valuesOf } from "./cache";
import { addScaled, dot, exp, largestLane, roundedEight, sumOfIntegers, sumOfLanes } from "./lanes";
import { Model, PAGE } from "./model";

const MASKED: f32 = -1e30;

/** `queries`: f32[heads][headDim], rotated; `out` likewise. Keys and values of `position` are in the cache already. */
export function attend(model: Model, layer: i32, position: i32, queries: usize, out: usize): void {
  const headBytes = <usize>model.headDim << 2;
  const group = model.heads / model.kvHeads;
  for (let h = 0; h < model.heads; h++) {
    attendHead(model, layer, h / group, position + 1, queries, out);
    queries += headBytes;
    out += headBytes;
  }
}

function attendHead(model: Model, layer: i32, kvHead: i32, count: i32, query: usize, out: usize): void {
  const headDim = model.headDim;
  const pages = (count + PAGE - 1) / PAGE;
  const bytes = model.headBytes;
  const queryScale = f32x4.splat(quantiseHead(query, headDim, 127, 0, bytes) / sqrt<f32>(<f32>headDim));
  const start = i32x4.splat(-KEY_ZERO * sumOfBytes(bytes, headDim));

  for (let page = 0; page < pages; page++) {
    const inPage = min(PAGE, count - page * PAGE);
    const scores = model.scores + (<usize>(page * PAGE) << 2);
    scorePage(panelAt(model, page, layer, kvHead), headDim, inPage, bytes, start, queryScale, scores);
  }
  const largest = f32x4.splat(largestOf(model.scores, pages * PAGE));
  let total = f32x4.splat(0);
  for (let page = 0; page < pages; page++) {
    const valueScales = valueScalesOf(panelAt(model, page, layer, kvHead), headDim);
    const scores = model.scores + (<usize>(page * PAGE) << 2);
    total = f32x4.add(total, weighPage(scores, largest, valueScales));
    const scale = quantiseWeights(scores, model.weights + <usize>(page * PAGE));
    store<f32>(model.scores + (<usize>page << 2), scale);
  }
  const share = f32x4.splat(<f32>1 / sumOfLanes(total));
  for (let dim = 0; dim < headDim; dim += 16) mixValues(model, layer, kvHead, pages, dim, share, out + (<usize>dim << 2));
}

@inline
function sumOfBytes(at: usize, count: i32): i32 {
  let sums = i32x4.splat(0);
  for (let i: usize = 0; i < <usize>count; i += 16) {
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v128.load(at + i))));
  }
  return sumOfIntegers(sums);
}

/** Scores of a page's first `count` positions; the rest of the page is masked. Eight positions at a time. */
@inline
function scorePage(panel: usize, headDim: i32, count: i32, query: usize, start: v128, scale: v128, scores: usize): void {
  const cellBytes = <usize>headDim << 2;
  const end = query + <usize>headDim;
  let scales = keyScalesOf(panel, headDim);
  let cell = panel;
  for (let p = 0; p < count; p += 8) {
    let near = start;
    let far = start;
    for (let q = query, key = cell; q < end; q += 8, key += 32) {
      const four = v128.load32_splat(q);
      const next = v128.load32_splat(q, 4);
      near = dot(near, four, v128.load(key));
      far = dot(far, four, v128.load(key + cellBytes));
      near = dot(near, next, v128.load(key, 16));
      far = dot(far, next, v128.load(key + cellBytes, 16));
    }
    const at = scores + (<usize>p << 2);
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(near), f32x4.mul(v128.load(scales), scale)));
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(far), f32x4.mul(v128.load(scales, 16), scale)), 16);
    cell += 2 * cellBytes;
    scales += 32;
  }
  for (let p = count; p < PAGE; p++) store<f32>(scores + (<usize>p << 2), MASKED);
}

@inline
function largestOf(at: usize, count: i32): f32 {
  let largest = f32x4.splat(MASKED);
  for (let i: usize = 0; i < <usize>count << 2; i += 16) largest = f32x4.pmax(largest, v128.load(at + i));
  return largestLane(largest);
}

/** Turns a page's scores into e^(score − largest) · value scale; returns the sums of the exponentials, lane by lane. */
@inline
function weighPage(scores: usize, largest: v128, valueScales: usize): v128 {
  let total = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>PAGE << 2; i += 16) {
    const score = v128.load(scores + i);
    // What lies beyond the last position may be left over from tokens that were taken back: it must not count.
    const visible = f32x4.gt(score, f32x4.splat(MASKED));
    const weight = v128.and(exp(f32x4.sub(score, largest)), visible);
    total = f32x4.add(total, weight);
    v128.store(scores + i, v128.and(f32x4.mul(weight, v128.load(valueScales + i)), visible));
  }
  return total;
}

/** Rounds a page's weights to bytes 0..127; returns their scale. */
@inline
function quantiseWeights(weights: usize, to: usize): f32 {
  let largest4 = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>PAGE << 2; i += 16) largest4 = f32x4.pmax(largest4, v128.load(weights + i));
  const largest = largestLane(largest4);
  const factor = f32x4.splat(largest > 0 ? <f32>127 / largest : 0);
  for (let i: usize = 0; i < <usize>PAGE; i += 16) {
    const from = weights + (i << 2);
    v128.store(to + i, i8x16.narrow_i16x8_s(roundedEight(from, factor), roundedEight(from + 32, factor)));
  }
  return largest / 127;
}

/** out[16 dimensions from `dim`] = share · Σ over pages of weights · values. */
@inline
function mixValues(model: Model, layer: i32, kvHead: i32, pages: i32, dim: i32, share: v128, out: usize): void {
  const headDim = model.headDim;
  const cellBytes = <usize>headDim << 2;
  let total0 = f32x4.splat(0);
  let total1 = total0;
  let total2 = total0;
  let total3 = total0;
  for (let page = 0; page < pages; page++) {
    let cell = valuesOf(panelAt(model, page, layer, kvHead), headDim) + (<usize>dim << 2);
    let sum0 = i32x4.splat(0);
    let sum1 = sum0;
    let sum2 = sum0;
    let sum3 = sum0;
    const weights = model.weights + <usize>(page * PAGE);
    for (let p: usize = 0; p < <usize>PAGE; p += 4) {
      const four = v128.load32_splat(weights + p);
      sum0 = dot(sum0, v128.load(cell), four);
      sum1 = dot(sum1, v128.load(cell, 16), four);
      sum2 = dot(sum2, v128.load(cell, 32), four);
      sum3 = dot(sum3, v128.load(cell, 48), four);
      cell += cellBytes;
    }
    const scale = v128.load32_splat(model.scores + (<usize>page << 2));
    const one = f32x4.splat(1);
    total0 = addScaled(total0, sum0, scale, one);
    total1 = addScaled(total1, sum1, scale, one);
    total2 = addScaled(total2, sum2, scale, one);
    total3 = addScaled(total3, sum3, scale, one);
  }
  v128.store(out, f32x4.mul(total0, share));
  v128.store(out, f32x4.mul(total1, share), 16);
  v128.store(out, f32x4.mul(total2, share), 32);
  v128.store(out, f32x4.mul(total3, share), 48);
}
