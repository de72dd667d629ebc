import { describe, expect, it } from "vitest";
import { Arrivals } from "../../gpu-service/verify/scheduler/arrivals.ts";
import type { Scheduler } from "../../gpu-service/verify/scheduler/scheduler.ts";
import { CPU_COSTS, GPU_COSTS } from "../support/costs.ts";
import { FakeTarget, reference } from "../support/fake-target.ts";
import { pacedSpeedup } from "../support/paced-run.ts";
import { schedulerOn, startFrame } from "../support/sequences.ts";

const ANSWER = { from: 10, have: 1, gained: 1, isWaited: true };
/** Refused at 0, 100, 200, … each time answered `ms` later, while the engine waited. */
function answered(...ms: number[]): Arrivals {
  const arrivals = new Arrivals();
  for (const [i, took] of ms.entries()) answer(arrivals, i, took);
  return arrivals;
}
function answer(arrivals: Arrivals, path: number, took: number, isWaited = true): void {
  arrivals.committed(10, path * 100, false, true);
  arrivals.hinted({ ...ANSWER, path, isWaited }, path * 100 + took);
}

describe("how long hints take to arrive", () => {
  it("is not known before the first", () => {
    const arrivals = new Arrivals();
    arrivals.committed(10, 0, false, true);
    expect(arrivals.awaited(0, 10, 1)).toBeUndefined();
  });
  it("is learnt from answers that nobody waited for, which had to share the machine with a step", () => {
    const expected = (took: number) => {
      const arrivals = new Arrivals();
      for (const path of [0, 1, 2]) answer(arrivals, path, took, false);
      arrivals.committed(10, 300, false, true);
      return arrivals.awaited(0, 10, 301)?.msUntil(1);
    };
    expect(expected(4)).toBeCloseTo(1.5);
    expect(expected(80)).toBeCloseTo(77.5);
  });
  it("is what waits have shown, once there were some", () => {
    const arrivals = answered(8, 8, 8);
    for (let path = 3; path < 8; path++) answer(arrivals, path, 12, false);
    arrivals.committed(10, 800, false, true);
    expect(arrivals.awaited(0, 10, 800)?.msUntil(1)).toBeLessThan(9);
  });
  it("is not told by a frame that came while the step ran", () => {
    const arrivals = answered(8);
    arrivals.committed(10, 100, false, true);
    arrivals.hinted({ ...ANSWER, path: 1 }, 95);
    arrivals.committed(10, 200, false, true);
    expect(arrivals.awaited(0, 10, 200)?.msUntil(1)).toBeCloseTo(8);
  });
  it("begins with the step that proved wrong what was on its way", () => {
    const arrivals = answered(8, 8, 8);
    arrivals.committed(10, 300, false, true);
    arrivals.committed(11, 320, false, true);
    // It answers the first of the two steps; the second has said otherwise since.
    arrivals.hinted({ ...ANSWER, path: 3, have: 0, gained: 0, refusedAt: 10 }, 308);
    expect(arrivals.awaited(0, 11, 321)?.msUntil(1)).toBeCloseTo(7, 0);
  });
  it("follows the network when it becomes slower", () => {
    const arrivals = answered(8, ...Array(20).fill(30));
    arrivals.committed(10, 3000, false, true);
    expect(arrivals.awaited(0, 10, 3000)?.msUntil(1)).toBeGreaterThan(25);
  });
  it("ends: what is overdue is not awaited any longer", () => {
    const arrivals = answered(8, 8, 8);
    arrivals.committed(10, 300, false, true);
    expect(arrivals.awaited(0, 10, 330)).toBeUndefined();
  });
  it("makes waits in vain unlikely to be repeated", () => {
    const arrivals = answered(8, 8);
    const chance = () => {
      arrivals.committed(10, 300, false, true);
      return arrivals.awaited(0, 10, 300)!.chance;
    };
    const before = chance();
    for (let i = 0; i < 5; i++) arrivals.missed(0);
    expect(chance()).toBeLessThan(before / 3);
  });
});

/** Runs a text of which every step is answered `answerMs` after it by hints that are wrong; milliseconds spent waiting. */
async function waitedInVain(answerMs: number): Promise<{ waitMs: number; plainMs: number }> {
  const start = startFrame(1, [1, 2], { max_tokens: 60 });
  const output = reference(start, 200);
  const model = new FakeTarget(200, 1, (_, rows) => 25 + rows);
  const scheduler: Scheduler = schedulerOn(model);
  scheduler.accept(start);
  let waitMs = 0;
  let path = 0;
  let done = 0;
  let answerAt = Number.POSITIVE_INFINITY;
  while (!scheduler.idle) {
    const report = await scheduler.step();
    for (const frame of scheduler.takeFrames()) if (frame.type === "tokens") done += frame.ids.length;
    if (report) answerAt = model.elapsedMs + answerMs;
    const until = Math.min(answerAt, report ? model.elapsedMs : (scheduler.wakeAt ?? model.elapsedMs));
    waitMs += until - model.elapsedMs;
    model.elapsedMs = until;
    const ids = output.slice(done, done + 3).map((id) => (id + 1) % 12);
    if (ids.length > 0 && until >= answerAt)
      scheduler.accept({ type: "hint", stream: 1, path: path++, at: 2 + done, ids, source: "model" }, until);
    if (until >= answerAt) answerAt = Number.POSITIVE_INFINITY;
  }
  return { waitMs, plainMs: 60 * 26 };
}

describe("a wait", () => {
  it("for hints that are never right is over with the credit that a sequence begins with", async () => {
    const { waitMs, plainMs } = await waitedInVain(2);
    expect(waitMs).toBeLessThan(0.03 * plainMs);
  });
  it("needs no more than a message: nothing is awaited where nothing ever came", async () => {
    const model = new FakeTarget(96, 1);
    const scheduler = schedulerOn(model);
    scheduler.accept(startFrame(1, [1, 2], { max_tokens: 20 }));
    while (!scheduler.idle) {
      await scheduler.step();
      expect(scheduler.wakeAt).toBeUndefined();
    }
  });
  for (const [machine, costs] of [
    ["a GPU", GPU_COSTS],
    ["a CPU", CPU_COSTS],
  ] as const) {
    it(`never makes ${machine} slower than without drafts, at any distance`, async () => {
      for (const rttMs of [0, 5, 15, 40, 150]) {
        const speedup = await pacedSpeedup({ costs, rttMs, alpha: 0.4, branchHit: 0, draftMs: 3 }, 8);
        expect(speedup, `round trip ${rttMs} ms`).toBeGreaterThan(0.98);
      }
    });
  }
});
