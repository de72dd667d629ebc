import { expect, it } from "vitest";
import { detailsOf } from "../../edge/api/details.ts";
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";

const report = (steps: number, accepted: DoneFrame["counts"]["accepted"]): DoneFrame => ({
  ...{ type: "done", stream: 1, reason: "stop", timings: { queued_ms: 1, prefill_ms: 2, decode_ms: 3 } },
  counts: { steps, drafted: {}, accepted },
});
const lengths = (done: DoneFrame | null) =>
  detailsOf("7", { release: null, note: null }, done).accepted_lengths;

it.each([
  ["no drafts", report(4, {}), [4]],
  ["drafts that were all refused", report(4, { model: [0, 0] }), [4]],
  ["two sources", report(10, { model: [4, 2], lookup: [2, 1, 1] }), [4, 3, 2, 1]],
])("how many steps confirmed how many hinted tokens: %s", (_, done, expected) => {
  expect(lengths(done)).toEqual(expected);
  expect(expected.reduce((sum, count) => sum + count, 0)).toBe(done.counts.steps);
});

it("is unknown where the verifier's account did not arrive", () => {
  expect(lengths(null)).toBeNull();
});
