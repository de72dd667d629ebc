/** Sums of exponentials over a vocabulary, several times faster than Math.exp. */

/** Terms below exp(-32) of the largest are left out: 100,000 of them would add 2e-9 to a sum of at least 1. */
const LEAST_EXPONENT = -32;
const STEPS_PER_UNIT = 8;
/** exp(-n / 8). */
const POWERS = Float64Array.from({ length: 32 * STEPS_PER_UNIT + 1 }, (_, n) =>
  Math.exp(-n / STEPS_PER_UNIT),
);

/**
 * Σ exp((value − highest) / scale), relative error below 1e-8. `highest`: the largest value.
 *
 * exp(x) = exp(-n / 8) · exp(r) with |r| ≤ 1/16, and the Taylor polynomial of degree 5 for exp(r).
 */
export function expSum(values: Float32Array, highest: number, scale: number): number {
  const inverse = 1 / scale;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const x = (values[i]! - highest) * inverse;
    if (!(x > LEAST_EXPONENT)) continue;
    const n = (0.5 - x * STEPS_PER_UNIT) | 0;
    const r = x + n * (1 / STEPS_PER_UNIT);
    sum += POWERS[n]! * (1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120))))));
  }
  return sum;
}
