/**
 * Whether a candidate foresees no worse than the current release, on the same texts.
 *
 * A non-inferiority test: the share of ids foreseen by the candidate minus that by the current release, its error
 * clustered by text (the ids of a text are no independent draws), must lie above minus the margin with 95% confidence
 * (one-sided). The difference is a ratio of sums over texts; its variance by linearisation (Cochran, Sampling
 * Techniques, chapter 6).
 */

/** Ids of one text, and how many of them each of the two foresaw. */
export type Foreseen = { ids: number; candidate: number; current: number };
export type Comparison = {
  candidate: number;
  current: number;
  /** The difference, and below what it is not with 95% confidence. */
  difference: number;
  lowest: number;
  isNoWorse: boolean;
};

export const MARGIN = 0.03;
/** The 95th percentile of the normal distribution. */
const Z = 1.645;

/** Throws where there are fewer than two texts: nothing could be said of the error. */
export function compare(texts: readonly Foreseen[]): Comparison {
  if (texts.length < 2) throw new Error(`${texts.length} texts: at least two are needed to compare`);
  const sum = (value: (text: Foreseen) => number) => texts.reduce((total, text) => total + value(text), 0);
  const ids = sum((text) => text.ids);
  const [candidate, current] = [sum((text) => text.candidate) / ids, sum((text) => text.current) / ids];
  const difference = candidate - current;
  const residuals = sum((text) => (text.candidate - text.current - difference * text.ids) ** 2);
  const error = Math.sqrt((residuals * texts.length) / (texts.length - 1)) / ids;
  const lowest = difference - Z * error;
  return { candidate, current, difference, lowest, isNoWorse: lowest >= -MARGIN };
}
