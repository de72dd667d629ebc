/**
 * Seeded Gumbel noise, the contract of gpu-service/protocol/noise.ts: the same integers, the same polynomial.
 *
 * The contract's functions are here token by token; noiseBound() says for four tokens at once what their noise is at
 * most, so that hardly any token needs the two logarithms.
 */

/** Finaliser of a 32-bit integer hash (constants "lowbias32", C. Wellons 2018). */
function mix(value: u32): u32 {
  let x = value;
  x = (x ^ (x >> 16)) * 0x7feb352d;
  x = (x ^ (x >> 15)) * 0x846ca68b;
  return x ^ (x >> 16);
}

let first: u32 = 0;
let second: u32 = 0;

/** Sets the key of the position whose noise the functions below give. `seed` in two halves. */
export function setPosition(seedLow: u32, seedHigh: u32, position: u32): void {
  first = mix(mix(seedLow ^ 0x9e3779b9) ^ mix((position * 0x85ebca6b) ^ seedHigh));
  second = mix(first ^ mix(seedHigh ^ 0xc2b2ae35) ^ position);
}

/** −ln(−ln u) for u = (32 hashed bits of the token + ½) / 2³². */
export function gumbel(token: u32): f64 {
  const bits = mix(mix((token * 0x9e3779b1) ^ first) ^ second);
  return -naturalLog(-naturalLog((<f64>bits + 0.5) * 2.3283064365386963e-10));
}

const COEFFICIENTS: StaticArray<f64> = [
  0.9999999999999963, -0.5000000000004946, 0.33333333333841775, -0.2499999998086471, 0.1999999988325307,
  -0.16666668765633488, 0.14285725060663615, -0.1249990176945347, 0.11110611692525987, -0.10002196083753846,
  0.09103470947315802, -0.08312129993545508, 0.07521087944139143, -0.07147058533854458, 0.07805537805414664,
  -0.07528649486647114, 0.03644535947235508,
];
const LN2: f64 = 0.6931471805599453;
const SQRT2: f64 = 1.4142135623730951;

/** Natural logarithm of a positive, normal f64: x = m · 2^e with m in [√½, √2), then the polynomial in m − 1. */
function naturalLog(x: f64): f64 {
  const bits = reinterpret<u64>(x);
  let exponent = <i32>(bits >> 52) - 1023;
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (mantissa >= SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const t = mantissa - 1;
  let sum = unchecked(COEFFICIENTS[16]);
  for (let i = 15; i >= 0; i--) sum = sum * t + unchecked(COEFFICIENTS[i]);
  return sum * t + <f64>exponent * LN2;
}

/**
 * Upper bounds (by at most 0.1 where it matters) of the noise of four tokens: −ln(−ln u) <= −ln(1 − u), and log₂ of a
 * float is at least its bits read as a fixed-point number, (bits / 2²³) − 127.
 */
@inline
export function noiseBound(tokens: v128): v128 {
  const hashed = mixFour(v128.xor(i32x4.mul(tokens, i32x4.splat(0x9e3779b1)), i32x4.splat(first)));
  const bits = mixFour(v128.xor(hashed, i32x4.splat(second)));
  const rest = f32x4.add(f32x4.convert_i32x4_u(v128.not(bits)), f32x4.splat(0.5));
  const log2 = f32x4.mul(f32x4.convert_i32x4_s(rest), f32x4.splat(1.1920929e-7));
  return f32x4.mul(f32x4.sub(f32x4.splat(159.001), log2), f32x4.splat(0.6931472));
}

@inline
function mixFour(value: v128): v128 {
  let x = value;
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 16)), i32x4.splat(0x7feb352d));
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 15)), i32x4.splat(0x846ca68b));
  return v128.xor(x, i32x4.shr_u(x, 16));
}
