/**
 * Activations on their way into a quantised product: int8 in groups of 32, each group a record of 40 bytes:
 * 32 signed bytes, the scale (f32), and the accumulators' start value −zero × Σ bytes (i32), which takes the
 * zero point of unsigned weights out of the product before it begins.
 */
import { largestLane, roundedEight, sumOfIntegers } from "./lanes";

export const GROUP_BYTES: usize = 40;
const SCALE: usize = 32;
const START: usize = 36;

@inline
export function activationBytes(columns: i32): usize {
  return <usize>(columns >> 5) * GROUP_BYTES;
}
@inline
export function groupScale(group: usize): v128 {
  return v128.load32_splat(group, SCALE);
}
@inline
export function groupStart(group: usize): v128 {
  return v128.load32_splat(group, START);
}

/** Quantises `columns` floats at `from` into records at `to`, for a matrix whose zero point is `zero`. */
export function quantise(from: usize, columns: i32, zero: i32, to: usize): void {
  for (let group = to, end = to + activationBytes(columns); group < end; group += GROUP_BYTES) {
    const largest = largestOf32(from);
    const factor = f32x4.splat(largest > 0 ? <f32>127 / largest : 0);
    const a = roundedEight(from, factor);
    const b = roundedEight(from + 32, factor);
    const c = roundedEight(from + 64, factor);
    const d = roundedEight(from + 96, factor);
    v128.store(group, i8x16.narrow_i16x8_s(a, b));
    v128.store(group, i8x16.narrow_i16x8_s(c, d), 16);
    const sums = i16x8.add(i16x8.add(a, b), i16x8.add(c, d));
    store<f32>(group, largest / 127, SCALE);
    store<i32>(group, -zero * sumOfIntegers(i32x4.extadd_pairwise_i16x8_s(sums)), START);
    from += 128;
  }
}

@inline
function largestOf32(at: usize): f32 {
  const a = f32x4.pmax(f32x4.abs(v128.load(at)), f32x4.abs(v128.load(at, 16)));
  const b = f32x4.pmax(f32x4.abs(v128.load(at, 32)), f32x4.abs(v128.load(at, 48)));
  const c = f32x4.pmax(f32x4.abs(v128.load(at, 64)), f32x4.abs(v128.load(at, 80)));
  const d = f32x4.pmax(f32x4.abs(v128.load(at, 96)), f32x4.abs(v128.load(at, 112)));
  return largestLane(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
}
