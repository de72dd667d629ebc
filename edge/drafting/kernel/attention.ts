/**
 * Attention of one token over the positions up to its own, all heads together, page after page of the cache:
 *   scores  = q · k / √headDim                 int8 × int8 per position
 *   weights = softmax(scores) · value scale    as bytes 0..127, one scale per page
 *   out     = Σ weights · v                    int8 × int8 per page
 * Heads are grouped (GQA): heads / kvHeads query heads read the same keys and values.
 */
import { KEY_ZERO, keyScalesOf, keysOf, panelAt, quantiseHead, valueScalesOf, valuesOf } from "./cache";
import { addScaled, dot, exp, largestLane, roundedEight, sumOfIntegers, sumOfLanes } from "./lanes";
import { Model, PAGE } from "./model";

const MASKED: f32 = -1e30;
/** A query in scratch space: its bytes, then its scale (f32) and the start value that takes KEY_ZERO out (i32). */
const QUERY_EXTRA_BYTES: usize = 16;

/** `queries`: f32[heads][headDim], rotated; `out` likewise. Keys and values of `position` are in the cache already. */
export function attend(model: Model, layer: i32, position: i32, queries: usize, out: usize): void {
  const headBytes = <usize>model.headDim << 2;
  const count = position + 1;
  const pages = (count + PAGE - 1) / PAGE;
  const group = model.heads / model.kvHeads;
  for (let h = 0; h < model.heads; h++) prepareQuery(queries + <usize>h * headBytes, model.headDim, queryAt(model, h));

  for (let page = 0; page < pages; page++) {
    const inPage = min(PAGE, count - page * PAGE);
    const panel = panelAt(model, page, layer);
    for (let kv = 0, h = 0; kv < model.kvHeads; kv++) {
      for (const end = h + group; h < end; h++) scorePage(model, panel, kv, page, h, inPage);
    }
  }
  for (let kv = 0, h = 0; kv < model.kvHeads; kv++) {
    for (const end = h + group; h < end; h++) weigh(model, layer, kv, pages, h);
  }
  memory.fill(out, 0, <usize>model.heads * headBytes);
  for (let page = 0; page < pages; page++) {
    const panel = panelAt(model, page, layer);
    for (let kv = 0, h = 0; kv < model.kvHeads; kv++) {
      for (const end = h + group; h < end; h++) mixPage(model, panel, kv, page, h, out + <usize>h * headBytes);
    }
  }
}

/** Scratch bytes of all queries. */
export function queriesBytes(heads: i32, headDim: i32): usize {
  return <usize>heads * (<usize>headDim + QUERY_EXTRA_BYTES);
}
@inline
function queryAt(model: Model, head: i32): usize {
  return model.queries + <usize>head * (<usize>model.headDim + QUERY_EXTRA_BYTES);
}
/** Scores of a page and head: f32[PAGE]. */
@inline
function scoresAt(model: Model, page: i32, head: i32): usize {
  return model.scores + (<usize>((page * model.heads + head) * PAGE) << 2);
}
/** Weights of a page and head: bytes[PAGE]. */
@inline
function weightsAt(model: Model, page: i32, head: i32): usize {
  return model.weights + <usize>((page * model.heads + head) * PAGE);
}

function prepareQuery(from: usize, headDim: i32, to: usize): void {
  const scale = quantiseHead(from, headDim, 127, 0, to);
  let sums = i32x4.splat(0);
  for (let i: usize = 0; i < <usize>headDim; i += 16) {
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v128.load(to + i))));
  }
  store<f32>(to + <usize>headDim, scale / sqrt<f32>(<f32>headDim));
  store<i32>(to + <usize>headDim, -KEY_ZERO * sumOfIntegers(sums), 4);
}

/** Scores of a page's first `count` positions, eight at a time; the rest of the page is masked. */
function scorePage(model: Model, panel: usize, kvHead: i32, page: i32, head: i32, count: i32): void {
  const headDim = model.headDim;
  const cellBytes = <usize>headDim << 2;
  const query = queryAt(model, head);
  const queryEnd = query + <usize>headDim;
  const scale = v128.load32_splat(queryEnd);
  const start = v128.load32_splat(queryEnd, 4);
  const scores = scoresAt(model, page, head);
  let scales = keyScalesOf(model, panel, kvHead);
  let cell = keysOf(model, panel, kvHead);
  for (let p = 0; p < count; p += 8) {
    let near = start;
    let far = start;
    for (let q = query, key = cell; q < queryEnd; q += 8, key += 32) {
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

/** Turns one head's scores into weights: bytes per position, and per page a scale that is left at its scores. */
function weigh(model: Model, layer: i32, kvHead: i32, pages: i32, head: i32): void {
  let largest4 = f32x4.splat(MASKED);
  for (let page = 0; page < pages; page++) {
    largest4 = f32x4.pmax(largest4, largestOfPage(scoresAt(model, page, head)));
  }
  const largest = f32x4.splat(largestLane(largest4));
  let total = f32x4.splat(0);
  for (let page = 0; page < pages; page++) {
    const valueScales = valueScalesOf(model, panelAt(model, page, layer), kvHead);
    total = f32x4.add(total, exponentials(scoresAt(model, page, head), largest, valueScales));
  }
  const share = <f32>1 / sumOfLanes(total);
  for (let page = 0; page < pages; page++) {
    const scores = scoresAt(model, page, head);
    const scale = roundWeights(scores, weightsAt(model, page, head));
    store<f32>(scores, scale * share);
  }
}

@inline
function largestOfPage(scores: usize): v128 {
  let largest = v128.load(scores);
  for (let i: usize = 16; i < <usize>PAGE << 2; i += 16) largest = f32x4.pmax(largest, v128.load(scores + i));
  return largest;
}

/** Turns a page's scores into e^(score − largest) · value scale; returns the sums of the exponentials, lane by lane. */
@inline
function exponentials(scores: usize, largest: v128, valueScales: usize): v128 {
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
function roundWeights(weights: usize, to: usize): f32 {
  const largest = largestLane(largestOfPage(weights));
  const factor = f32x4.splat(largest > 0 ? <f32>127 / largest : 0);
  for (let i: usize = 0; i < <usize>PAGE; i += 16) {
    const from = weights + (i << 2);
    v128.store(to + i, i8x16.narrow_i16x8_s(roundedEight(from, factor), roundedEight(from + 32, factor)));
  }
  return largest / 127;
}

/** out[headDim] += a page's weights · values, sixteen dimensions at a time. */
function mixPage(model: Model, panel: usize, kvHead: i32, page: i32, head: i32, out: usize): void {
  const cellBytes = <usize>model.headDim << 2;
  const weights = weightsAt(model, page, head);
  const scale = v128.load32_splat(scoresAt(model, page, head));
  const one = f32x4.splat(1);
  const values = valuesOf(model, panel, kvHead);
  for (let dims: usize = 0; dims < cellBytes; dims += 64) {
    let sum0 = i32x4.splat(0);
    let sum1 = sum0;
    let sum2 = sum0;
    let sum3 = sum0;
    let cell = values + dims;
    for (let p: usize = 0; p < <usize>PAGE; p += 4) {
      const four = v128.load32_splat(weights + p);
      sum0 = dot(sum0, v128.load(cell), four);
      sum1 = dot(sum1, v128.load(cell, 16), four);
      sum2 = dot(sum2, v128.load(cell, 32), four);
      sum3 = dot(sum3, v128.load(cell, 48), four);
      cell += cellBytes;
    }
    const to = out + dims;
    v128.store(to, addScaled(v128.load(to), sum0, scale, one));
    v128.store(to, addScaled(v128.load(to, 16), sum1, scale, one), 16);
    v128.store(to, addScaled(v128.load(to, 32), sum2, scale, one), 32);
    v128.store(to, addScaled(v128.load(to, 48), sum3, scale, one), 48);
  }
}
