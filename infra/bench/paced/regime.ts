/**
 * The emulated machine of the paced benchmarks: a 7B target on a data-centre GPU, whose step is bound by memory, so
 * that a further row costs little; and a draft at the edge. Every figure measured so is labelled as paced.
 */
const STEP_MS = 25;
/** Cost of a further row in the same step, as a share of a step. */
const ROW_SHARE = 0.03;
const DRAFT_MS = 1;

export type Regime = {
  label: string;
  /** All times, the network's too, are so many times as long: where this machine is too slow for the pace itself. */
  dilation: number;
  /** Milliseconds of a step with so many rows in all. */
  stepMs(rows: number): number;
  /** Milliseconds per drafted token. */
  draftMs: number;
};

export const pacedAs7B = (dilation = 1): Regime => ({
  label: `7B on a GPU: ${STEP_MS} ms and ${ROW_SHARE * 100}% per further row${dilation === 1 ? "" : `, all times × ${dilation}`}`,
  dilation,
  stepMs: (rows) => dilation * STEP_MS * (1 + ROW_SHARE * (rows - 1)),
  draftMs: dilation * DRAFT_MS,
});

/** The regime as the verifier's PACE_FILE. Its cost is linear, so that two points say all of it. */
export const paceFile = ({ label, stepMs }: Regime): string =>
  JSON.stringify({ label, points: [1, 101].map((rows) => ({ rows, ms: stepMs(rows) })) });
