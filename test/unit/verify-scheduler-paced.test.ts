import { describe, expect, it } from "vitest";
import { CPU_COSTS, GPU_COSTS } from "../support/costs.ts";
import { pacedRun, pacedSpeedup } from "../support/paced-run.ts";

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

const MACHINES = [
  { machine: "a GPU", costs: GPU_COSTS },
  { machine: "a CPU", costs: CPU_COSTS },
];

describe("drafts never slow the whole down", () => {
  const usual = { draftMs: 2, ahead: 12, branchHit: 0 };
  for (const { machine, costs } of MACHINES) {
    for (const sessions of [1, 2, 4, 8, 16]) {
      it(`${machine}, ${sessions} at once`, async () => {
        for (const rttMs of [0, 30]) {
          for (const alpha of [0, 0.3, 0.5]) {
            const texts = sessions > 1 ? 2 : 1;
            const speedup = await pacedSpeedup(
              { ...usual, costs, sessions, rttMs, alpha, texts },
              24 / sessions,
            );
            expect(speedup, `drafts right at ${alpha}, round trip ${rttMs} ms`).toBeGreaterThan(0.98);
          }
        }
      });
    }
  }
  it("many at once still gain by good drafts", async () => {
    const good = { alpha: 0.8, rttMs: 30, texts: 3 };
    expect(await pacedSpeedup({ ...good, sessions: 8 }, 2)).toBeGreaterThan(1.5);
    expect(await pacedSpeedup({ ...good, sessions: 16 }, 1)).toBeGreaterThan(1.3);
  });
});

describe("a source that knows the text", () => {
  const known = { branchHit: 0, ahead: 64, draftMs: 0.1, rttMs: 3, costs: CPU_COSTS };
  it("soon has long blocks run", async () => {
    expect(await pacedSpeedup({ ...known, alpha: 1, source: "memory" })).toBeGreaterThan(4.2);
    expect(await pacedSpeedup({ ...known, alpha: 0.97, source: "prediction" })).toBeGreaterThan(2.7);
  });
  it("and is always wrong costs next to nothing", async () => {
    expect(await pacedSpeedup({ ...known, alpha: 0, source: "memory" })).toBeGreaterThan(0.98);
  });
});

describe("while a prompt of 2,000 ids is taken in", () => {
  for (const { machine, costs } of MACHINES) {
    for (const sessions of [3, 7]) {
      it(`${machine}: no gap of ${sessions} others is longer than three plain steps`, async () => {
        const busy = { costs, sessions, texts: 4 };
        const plain = await pacedRun({ ...busy, drafts: false });
        const drafts = [
          { drafts: false },
          { alpha: 0.8 },
          { alpha: 1, source: "memory" as const, draftMs: 0.1, ahead: 64 },
        ];
        for (const kind of drafts) {
          const { longestGapMs } = await pacedRun({ ...busy, ...kind, latePromptIds: 2000 });
          expect(longestGapMs).toBeLessThanOrEqual(3 * plain.longestGapMs);
        }
      });
    }
  }
});
