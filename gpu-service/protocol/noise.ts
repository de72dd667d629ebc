/**
 * Seeded Gumbel noise: gumbel(seed, position, token), the same numbers in TypeScript, AssemblyScript and Python.
 *
 * Adding it to logits and taking the argmax samples from their softmax (the Gumbel-max trick: Gumbel 1954;
 * Maddison et al. 2014), so draft and target that share the noise tend to choose the same token.
 * The integers come from a counter-based hash; the logarithm is a fixed polynomial in +, − and × of f64
 * without fused multiply-add, so that its bits do not depend on a platform's math library.
 */

/** Finaliser of a 32-bit integer hash (constants "lowbias32", C. Wellons 2018). Returns an unsigned 32-bit integer. */
export function mix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

export type PositionKey = { readonly first: number; readonly second: number };

/** The key of one position. `seed`: an unsigned 64-bit integer. */
export function positionKey(seed: bigint, position: number): PositionKey {
  const low = Number(seed & 0xffff_ffffn);
  const high = Number((seed >> 32n) & 0xffff_ffffn);
  const first = mix32(mix32(low ^ 0x9e3779b9) ^ mix32(Math.imul(position, 0x85ebca6b) ^ high));
  const second = mix32(first ^ mix32(high ^ 0xc2b2ae35) ^ position);
  return { first, second };
}

/** 32 uniform bits for one token at a keyed position. */
export function noiseBits(key: PositionKey, token: number): number {
  return mix32(mix32(Math.imul(token, 0x9e3779b1) ^ key.first) ^ key.second);
}

/** -ln(-ln u) for u = (bits + ½) / 2³²; between -3.2 and 22.9. */
export function gumbel(bits: number): number {
  return -naturalLog(-naturalLog((bits + 0.5) * 2.3283064365386963e-10));
}

/** Coefficients of ln(1 + t) / t, a Chebyshev fit on [√½ − 1, √2 − 1]; error below 5e-15. Lowest power first. */
export const LOG_COEFFICIENTS = [
  0.9999999999999963, -0.5000000000004946, 0.33333333333841775, -0.2499999998086471, 0.1999999988325307,
  -0.16666668765633488, 0.14285725060663615, -0.1249990176945347, 0.11110611692525987, -0.10002196083753846,
  0.09103470947315802, -0.08312129993545508, 0.07521087944139143, -0.07147058533854458, 0.07805537805414664,
  -0.07528649486647114, 0.03644535947235508,
] as const;
const LN2 = Math.LN2;
const SQRT2 = Math.SQRT2;

const scratch = new DataView(new ArrayBuffer(8));

/** Natural logarithm of a positive, normal f64: x = m · 2^e with m in [√½, √2), then the polynomial in m − 1. */
export function naturalLog(x: number): number {
  scratch.setFloat64(0, x);
  const high = scratch.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  scratch.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  let mantissa = scratch.getFloat64(0);
  if (mantissa >= SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const t = mantissa - 1;
  let sum = LOG_COEFFICIENTS[16];
  for (let i = 15; i >= 0; i--) sum = sum * t + LOG_COEFFICIENTS[i]!;
  return sum * t + exponent * LN2;
}

/** Upper bounds of gumbel(bits), by the number of leading one bits: u < 1 − 2^-(ones + 1). Cheap: no logarithm. */
const BOUND_BY_LEADING_ONES = Float64Array.from({ length: 33 }, (_, ones) =>
  ones >= 32 ? gumbel(0xffff_ffff) : gumbel(2 ** 32 - 2 ** (31 - ones) - 0.5) + 1e-9,
);
export const MAX_GUMBEL = gumbel(0xffff_ffff);
export const gumbelBound = (bits: number): number => BOUND_BY_LEADING_ONES[Math.clz32(~bits)]!;

/** Seed of choice `index` of a request: choice 0 keeps the request's own. */
export function choiceSeed(seed: bigint, index: number): bigint {
  if (index === 0) return seed;
  const { first, second } = positionKey(seed, index);
  return (BigInt(first) << 32n) | BigInt(second);
}
