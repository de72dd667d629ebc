import { describe, expect, it } from "vitest";
import { testExactness } from "../../gpu-service/verify/engines/onnx/self-test.ts";
import type { SlotRows, StepLogits } from "../../gpu-service/verify/scheduler/model.ts";
import { FakeTarget } from "../support/fake-target.ts";

/** A target whose logits are off by a bit in the steps that `isOff` names. */
class UnevenTarget extends FakeTarget {
  readonly #isOff: (slots: readonly SlotRows[]) => boolean;
  constructor(isOff: (slots: readonly SlotRows[]) => boolean) {
    super(128, 4);
    this.#isOff = isOff;
  }
  override async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    const off = this.#isOff(slots);
    const logits = await super.run(slots);
    return { row: (slot, row) => logits.row(slot, row).map((x) => (off ? x + 2 ** -12 : x)) };
  }
}
const rows = (slots: readonly SlotRows[]) => slots.reduce((sum, { ids }) => sum + ids.length, 0);
const test = (isOff: (slots: readonly SlotRows[]) => boolean) =>
  testExactness(new UnevenTarget(isOff), [1, 2, 4]);

describe("the self-test", () => {
  it("passes an even target, with the same fingerprint each time", async () => {
    const first = await test(() => false);
    expect(first).toMatchObject({ ok: true, fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/) });
    expect(await test(() => false)).toEqual(first);
  });

  it("gives back every cache", async () => {
    const target = new UnevenTarget(() => false);
    await testExactness(target, [1, 2, 4]);
    expect(target.openCaches).toBe(0);
  });

  it.each<[string, (slots: readonly SlotRows[]) => boolean, string]>([
    ["a block of 20 rows", (slots) => slots.length === 1 && rows(slots) === 20, "rows 20 of one of 1"],
    ["a whole prefill chunk", (slots) => slots.length === 1 && rows(slots) >= 64, "rows 64 of one of 1"],
    ["two sequences", (slots) => slots.length === 2, "one of 2 in the graph for 2"],
    ["an idle slot", (slots) => slots.length === 3, "one of 3 in the graph for 4"],
    ["a chunk beside others", (slots) => slots.length === 4 && rows(slots) > 64, "rows 64 of one of 4"],
  ])("refuses a target that differs with %s", async (_, isOff, where) => {
    expect(await test(isOff)).toMatchObject({ ok: false, message: expect.stringContaining(where) });
  });
});
