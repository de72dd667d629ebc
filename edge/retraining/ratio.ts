/**
 * Acceptance as a ratio of sums, accepted over drafted, and whether two releases differ in it.
 *
 * Tokens of one request are alike, so requests are the independent units, not tokens. With n requests that drafted
 * d_i and accepted a_i, R = Σa/Σd has by the delta method the variance
 *
 *     n/(n−1) · Σ(a_i − R·d_i)² / (Σd)²
 *
 * Source: W. G. Cochran, Sampling Techniques, 3rd ed. (1977), section 6.3, without the correction for a finite
 * population; for tests of one release against another see A. Deng, U. Knoblich, J. Lu, Applying the Delta Method in
 * Metric Analytics (KDD 2018), section 3.
 */

/** Sums over requests of drafted tokens d and accepted ones a: all that the estimator needs of them. */
export type RequestSums = {
  requests: number;
  drafted: number;
  accepted: number;
  drafted_squares: number;
  accepted_squares: number;
  /** Σ d·a. */
  products: number;
};
export type Ratio = { value: number; variance: number };
/** `p`: how likely a difference at least as large, in either direction, is where there is none. */
export type Comparison = { difference: number; standardError: number; p: number };

export const NO_REQUESTS: RequestSums = {
  requests: 0,
  drafted: 0,
  accepted: 0,
  drafted_squares: 0,
  accepted_squares: 0,
  products: 0,
};

/** Null where fewer than two requests drafted something: their spread cannot be known. */
export function ratioOf(sums: RequestSums): Ratio | null {
  const { requests: n, drafted, accepted } = sums;
  if (n < 2 || drafted <= 0) return null;
  const value = accepted / drafted;
  const squares = sums.accepted_squares - 2 * value * sums.products + value * value * sums.drafted_squares;
  // Rounding may leave a little less than nothing where every request has the same ratio.
  return { value, variance: ((n / (n - 1)) * Math.max(0, squares)) / drafted ** 2 };
}

/** The difference `candidate − baseline`, by a normal test: samples are to be large (Cochran asks for 30 or more). */
export function compare(candidate: Ratio, baseline: Ratio): Comparison {
  const difference = candidate.value - baseline.value;
  const standardError = Math.sqrt(candidate.variance + baseline.variance);
  if (standardError === 0) return { difference, standardError, p: difference === 0 ? 1 : 0 };
  return { difference, standardError, p: twoSided(Math.abs(difference) / standardError) };
}

/**
 * P(|Z| > z) of the standard normal, relative error below 1.2e-7. Source: W. H. Press et al., Numerical Recipes,
 * 2nd ed., section 6.2, `erfcc`, as erfc(z/√2).
 */
export function twoSided(z: number): number {
  const x = z / Math.SQRT2;
  const t = 1 / (1 + 0.5 * x);
  const polynomial = ERFC.reduceRight((sum, coefficient) => sum * t + coefficient, 0);
  return t * Math.exp(-x * x + polynomial);
}

const ERFC = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
];
