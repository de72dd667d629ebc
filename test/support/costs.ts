/** Cost tables of two kinds of machines. Milliseconds by sequences and rows. */
import type { CostPoint } from "../../gpu-service/verify/scheduler/cost.ts";

const WIDTHS = [1, 2, 4, 8, 16];

/** A 7B target on a data-centre GPU: 25 ms a step and 3% for each further row, however they are spread. */
export const GPU_COSTS: readonly CostPoint[] = WIDTHS.flatMap((slots) =>
  [slots, 128].map((rows) => ({ slots, rows, ms: 25 + 0.75 * (rows - 1) })),
);

/** A small target on one core of a CPU, which is kept busy by a few rows: each further one costs its time. */
export const CPU_COSTS: readonly CostPoint[] = WIDTHS.flatMap((slots) =>
  [1, 2, 4, 8, 16, 32, 64]
    .filter((rows) => rows >= slots)
    .map((rows) => ({ slots, rows, ms: 9 + 0.8 * slots + 1.5 * rows + 0.012 * rows ** 2 })),
);
