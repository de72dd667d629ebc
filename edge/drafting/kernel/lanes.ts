/**
 * The vocabulary of four-lane arithmetic that every other file of the kernel uses.
 *
 * Two builds come from one source: with relaxed SIMD a dot product of four bytes is one instruction, without it the
 * same integers are formed by widening. No fused multiply-add anywhere: both builds give the same bits.
 */

const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

/** sum + Σ x·w over the four bytes of each 32-bit lane. `x` is signed; bytes of `w` must be 0..127 (see below). */
// The relaxed instruction may read bytes >= 128 as signed or unsigned: the formats never hold such bytes.
@inline
export function dot(sum: v128, x: v128, w: v128): v128 {
  if (RELAXED) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum);
  const low = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(x), i16x8.extend_low_i8x16_u(w));
  const high = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(x), i16x8.extend_high_i8x16_u(w));
  const even = v128.shuffle<i32>(low, high, 0, 2, 4, 6);
  const odd = v128.shuffle<i32>(low, high, 1, 3, 5, 7);
  return i32x4.add(sum, i32x4.add(even, odd));
}

/** total + sums · scales · factor: brings the integer sums of one group back to floats. */
@inline
export function addScaled(total: v128, sums: v128, scales: v128, factor: v128): v128 {
  return f32x4.add(total, f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(scales, factor)));
}

/** Four bf16 numbers as f32. */
@inline
export function loadBf16(at: usize): v128 {
  return i32x4.shl(v128.load_ext<u16>(at), 16);
}

@inline
export function sumOfLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}

@inline
export function largestLane(v: v128): f32 {
  const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
  return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
}

@inline
export function sumOfIntegers(v: v128): i32 {
  return (
    i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3)
  );
}

/** Nearest integers, ties to even. The operands are known to fit. */
@inline
export function rounded(v: v128): v128 {
  const whole = f32x4.nearest(v);
  return RELAXED ? i32x4.relaxed_trunc_f32x4_s(whole) : i32x4.trunc_sat_f32x4_s(whole);
}

/** Eight floats at `at`, times `factor`, rounded to 16-bit integers. */
@inline
export function roundedEight(at: usize, factor: v128): v128 {
  const low = rounded(f32x4.mul(v128.load(at), factor));
  const high = rounded(f32x4.mul(v128.load(at, 16), factor));
  return i16x8.narrow_i32x4_s(low, high);
}

/**
 * e^x to a relative error of 3e-7, x clamped to [-87, 88]: 2^n · 2^f with n whole and |f| <= ½, 2^f by a polynomial
 * (Chebyshev interpolation, degree 5), 2^n by adding n to the exponent bits.
 */
@inline
export function exp(x: v128): v128 {
  const y = f32x4.mul(f32x4.pmax(f32x4.pmin(x, f32x4.splat(88)), f32x4.splat(-87)), f32x4.splat(1.44269504));
  const n = f32x4.nearest(y);
  const f = f32x4.sub(y, n);
  let p = f32x4.splat(0.0013390863314270973);
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.009676031768321991));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.055503569543361664));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.2402210682630539));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(0.6931471824645996));
  p = f32x4.add(f32x4.mul(p, f), f32x4.splat(1.0000001192092896));
  return i32x4.add(p, i32x4.shl(rounded(n), 23));
}
