import { describe, expect, it } from "vitest";
import { blockingWait, PacedTarget, parsePace } from "../../gpu-service/verify/engines/pace.ts";
import { FakeTarget, logitsAfter } from "../support/fake-target.ts";

const GPU = {
  label: "7B, emulated",
  points: [
    { rows: 1, ms: 25 },
    { rows: 33, ms: 49 },
  ],
};
const parse = (pace: unknown) => parsePace(JSON.stringify(pace));

describe("a pace file", () => {
  it("is a label and points, of one slot and more unless they say otherwise", () => {
    expect(parse(GPU)).toEqual({
      label: "7B, emulated",
      points: [
        { slots: 1, rows: 1, ms: 25 },
        { slots: 1, rows: 33, ms: 49 },
      ],
    });
  });

  it("is dilated as a whole", () =>
    expect(parse({ ...GPU, dilation: 4 }).points.map((p) => p.ms)).toEqual([100, 196]));

  it.each<[string, unknown, string]>([
    ["no label", { points: GPU.points }, "label: "],
    ["no points", { label: "x", points: [] }, "points: "],
    ["a step without time", { label: "x", points: [{ rows: 1, ms: 0 }] }, "points.0.ms: "],
    ["half a row", { label: "x", points: [{ rows: 1.5, ms: 1 }] }, "points.0.rows: "],
    [
      "a shape named twice",
      {
        label: "x",
        points: [
          { rows: 1, ms: 1 },
          { rows: 1, ms: 2 },
        ],
      },
      "points.1: ",
    ],
    ["an unknown field", { ...GPU, dilatation: 4 }, "dilatation"],
  ])("is refused with %s", (_, pace, where) => expect(() => parse(pace)).toThrow(where));

  it("is refused when it is not JSON", () => expect(() => parsePace("{")).toThrow("is not JSON"));
});

describe("a paced target", () => {
  /** Runs one step of `each` rows for so many sequences, on a machine whose steps take `realMs`. */
  async function stepOf(pace: unknown, each: number, sequences: number, realMs: number) {
    const target = new FakeTarget(128, 8, () => realMs);
    let waited = 0;
    const now = () => target.elapsedMs + waited;
    const waitUntil = (time: number) => {
      waited += Math.max(0, time - now());
    };
    const paced = new PacedTarget(target, parse(pace), { now, waitUntil });
    const slots = Array.from({ length: sequences }, () => ({
      cache: paced.openCache(),
      ids: Array(each).fill(1),
      firstLogitRow: 0,
    }));
    const logits = await paced.run(slots);
    return { ms: now(), overrunMs: paced.overrunMs, logits: logits.row(0, 0), alone: logitsAfter([1]) };
  }

  it.each([
    [1, 1, 25],
    [1, 17, 37],
    [1, 65, 73],
    [8, 1, 30.25],
  ])("lasts, with %i sequences of %i rows, %f ms", async (sequences, rows, ms) => {
    const step = await stepOf(GPU, rows, sequences, 10);
    expect(step.ms).toBeCloseTo(ms);
    expect(step.overrunMs).toBe(0);
  });

  it("goes by the points of the sequences in the step", async () => {
    const points = [
      { slots: 1, rows: 1, ms: 20 },
      { slots: 8, rows: 2, ms: 50 },
    ];
    expect((await stepOf({ label: "x", points }, 1, 1, 10)).ms).toBe(20);
    expect((await stepOf({ label: "x", points }, 1, 2, 10)).ms).toBe(50);
  });

  it("says by how much the machine was too slow", async () => {
    const step = await stepOf(GPU, 1, 1, 31);
    expect(step.ms).toBe(31);
    expect(step.overrunMs).toBe(6);
  });

  it("has the target's own logits", async () => {
    const { logits, alone } = await stepOf(GPU, 2, 1, 10);
    expect(logits).toEqual(alone);
  });
});

it("a blocking wait ends on time", () => {
  const now = () => performance.now();
  const { waitUntil } = blockingWait(now);
  const end = now() + 5;
  waitUntil(end);
  expect(now() - end).toBeGreaterThanOrEqual(0);
  expect(now() - end).toBeLessThan(50);
});
