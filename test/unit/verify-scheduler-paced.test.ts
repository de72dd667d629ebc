import { describe, expect, it } from "vitest";
import { pacedSpeedup } from "../support/paced-run.ts";

/**
 * Speed over plain decoding where the target is paced as 7B on a GPU, 128 tokens, 1 ms per drafted token, branch hit .4:
 * what a simulation of the protocol reaches with the block length and wait that are best for each cell.
 */
const BEST: readonly (readonly [alpha: number, rttMs: number, speedup: number])[] = [
  [0.6, 0, 1.88],
  [0.6, 10, 1.6],
  [0.6, 30, 1.39],
  [0.6, 60, 1.29],
  [0.7, 0, 2.29],
  [0.7, 10, 1.99],
  [0.7, 30, 1.68],
  [0.7, 60, 1.46],
  [0.8, 0, 2.96],
  [0.8, 10, 2.67],
  [0.8, 30, 2.2],
  [0.8, 60, 1.86],
  [0.9, 0, 4.23],
  [0.9, 10, 3.93],
  [0.9, 30, 3.29],
  [0.9, 60, 2.93],
];

describe("one sequence, with what it learns by itself, is nearly as fast as with the best settings", () => {
  for (const [alpha, rttMs, best] of BEST) {
    it(`drafts right at ${alpha}, round trip ${rttMs} ms: ${best}`, async () => {
      expect(await pacedSpeedup({ alpha, rttMs }, 30)).toBeGreaterThan(0.9 * best);
    });
  }
});
