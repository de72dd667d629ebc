import { expect, it, vi } from "vitest";
import { isDrawn } from "../../edge/releases/share.ts";
import { type Sending, type StatisticsBatch, StatisticsBatcher } from "../../edge/statistics/batcher.ts";
import { Tally } from "../../edge/statistics/tally.ts";

const completion = (model: [number, number], lookup: [number, number] = [0, 0]) => ({
  release: "one",
  arm: "current" as const,
  drafted: { model: model[0], lookup: lookup[0], guess: 9 },
  accepted: { model: model[1], lookup: lookup[1], guess: 9 },
});

it("adds completions up by release, source and arm, with what a ratio's spread needs", () => {
  const tally = new Tally();
  tally.add(completion([4, 3]));
  tally.add(completion([10, 5], [2, 0]));
  tally.add({ ...completion([1, 1]), release: "two", arm: "canary" });
  tally.add({ release: null, arm: "current", drafted: {}, accepted: {} });
  const row = { release: "one", arm: "current", source: "model" };
  const sums = { drafted_squares: 116, accepted_squares: 34, products: 62 };
  expect(tally.acceptance).toEqual([
    { ...row, requests: 2, drafted: 14, accepted: 8, ...sums },
    {
      ...{ ...row, source: "lookup", requests: 1, drafted: 2, accepted: 0 },
      ...{ drafted_squares: 4, accepted_squares: 0, products: 0 },
    },
    {
      ...{ ...row, release: "two", arm: "canary", requests: 1, drafted: 1, accepted: 1 },
      ...{ drafted_squares: 1, accepted_squares: 1, products: 1 },
    },
  ]);
  expect(tally.served).toEqual([
    { release: "one", arm: "current", requests: 2 },
    { release: "two", arm: "canary", requests: 1 },
    { release: null, arm: "current", requests: 1 },
  ]);
});

/** A batcher whose waits end when a test says so, and what it sends. */
function batching(fail = 0) {
  const waits: (() => void)[] = [];
  const batches: StatisticsBatch[] = [];
  const work: Promise<unknown>[] = [];
  const batcher = new StatisticsBatcher(() => new Promise<void>((done) => waits.push(done)));
  let failures = fail;
  const sending: Sending = {
    async send(batch) {
      batches.push(batch);
      if (failures-- > 0) throw new Error("no answer");
    },
    keepAlive: (promise) => work.push(promise),
  };
  return { batcher, sending, batches, work, pass: () => waits.shift()!() };
}

it("sends what came in the meantime in one batch", async () => {
  const { batcher, sending, batches, work, pass } = batching();
  for (let n = 0; n < 3; n++) batcher.add(completion([2, 1]), sending);
  expect(batches).toEqual([]);
  pass();
  await Promise.all(work);
  expect(batches.map(({ served }) => served[0]!.requests)).toEqual([3]);
  batcher.add(completion([2, 1]), sending);
  pass();
  await Promise.all(work);
  expect(batches.map(({ served }) => served[0]!.requests)).toEqual([3, 1]);
});

it("does not wait where many came", async () => {
  const { batcher, sending, batches } = batching();
  for (let n = 0; n < 64; n++) batcher.add(completion([2, 1]), sending);
  await vi.waitFor(() => expect(batches.map(({ served }) => served[0]!.requests)).toEqual([64]));
});

it("sends a batch again under the same id, and gives up with a word", async () => {
  const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const { batcher, sending, batches, work, pass } = batching(4);
  batcher.add(completion([2, 1]), sending);
  for (let tries = 1; tries <= 3; tries++) {
    pass();
    await vi.waitFor(() => expect(batches).toHaveLength(tries));
  }
  await Promise.all(work);
  expect(new Set(batches.map(({ id }) => id)).size).toBe(1);
  expect(warnings.mock.calls.flat().join()).toContain("statistics of some completions were lost");
  warnings.mockRestore();
});

it("sends what an ended request's timer would have sent", async () => {
  const clock = vi.spyOn(Date, "now").mockReturnValue(0);
  const { batcher, sending, batches } = batching();
  batcher.add(completion([2, 1]), sending);
  clock.mockReturnValue(60_000);
  batcher.add(completion([2, 1]), sending);
  await vi.waitFor(() => expect(batches.map(({ served }) => served[0]!.requests)).toEqual([2]));
  clock.mockRestore();
});

it.each([
  [0, 0, 0],
  [0.01, 50, 150],
  [0.1, 880, 1120],
  [0.5, 4800, 5200],
  [1, 10_000, 10_000],
])("draws a share of %d", (share, least, most) => {
  let drawn = 0;
  for (let n = 0; n < 10_000; n++) if (isDrawn(`req_${n}`, { release: "two", share })) drawn++;
  expect(drawn).toBeGreaterThanOrEqual(least);
  expect(drawn).toBeLessThanOrEqual(most);
});

it("draws other requests for another canary", () => {
  const ids = Array.from({ length: 1000 }, (_, n) => `req_${n}`);
  const drawn = (release: string) => ids.filter((id) => isDrawn(id, { release, share: 0.5 }));
  const both = drawn("two").filter((id) => drawn("three").includes(id));
  expect(both.length).toBeGreaterThan(190);
  expect(both.length).toBeLessThan(310);
});
