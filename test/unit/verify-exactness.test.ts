import { describe, expect, it } from "vitest";
import type { SlotRows, StepLogits } from "../../gpu-service/verify/scheduler/model.ts";
import { firstDifference, plainRun, WAYS } from "../../infra/check/exactness.ts";
import { FakeTarget } from "../support/fake-target.ts";

const LENGTH = 120;

/** Logits are off by a bit in the steps that `isOff` names. */
class UnevenTarget extends FakeTarget {
  isOff: (slots: readonly SlotRows[]) => boolean = () => false;
  override async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    const off = this.isOff(slots);
    const logits = await super.run(slots);
    return { row: (slot, row) => logits.row(slot, row).map((x) => (off ? x + 2 ** -12 : x)) };
  }
}

const target = new UnevenTarget(1024, 8);
const ids = Array.from({ length: LENGTH }, (_, i) => (i * 5 + 2) % target.vocabSize);

/** Names of the ways in which an uneven target is found out. */
async function findingsOf(isOff: (slots: readonly SlotRows[]) => boolean): Promise<string[]> {
  target.isOff = () => false;
  const expected = await plainRun(target, ids);
  target.isOff = isOff;
  const found: string[] = [];
  for (const way of WAYS)
    if ((await firstDifference(target, ids, expected, way)) !== undefined) found.push(way.name);
  return found;
}

describe("the check of whole texts", () => {
  it("passes an even target in every way, and gives back every cache", async () => {
    expect(await findingsOf(() => false)).toEqual([]);
    expect(target.openCaches).toBe(0);
  });

  it.each<[string, (slots: readonly SlotRows[]) => boolean, string]>([
    ["chunks of 64", ([own]) => own!.ids.length === 64, "prefill in whole chunks"],
    ["one row after a refusal", ([own]) => own!.ids.length === 4, "refused hints after each row"],
    [
      "a single row far into the text",
      ([own]) => own!.cache.length === 113 && own!.ids.length === 1,
      "resumed: prefilled, then row by row",
    ],
    ["reused prefixes", ([own]) => own!.cache.length === 72, "a prefix taken over"],
    ["copied prefixes", ([own]) => own!.cache.length === 48, "a prefix copied"],
    ["one beside", (slots) => slots.length === 2, "beside one"],
    ["an idle slot", (slots) => slots.length === 3, "beside two, one slot idle"],
    ["a full step", (slots) => slots.length === 8, "beside seven"],
  ])("finds a target that differs with %s", async (_, isOff, way) =>
    expect(await findingsOf(isOff)).toContain(way),
  );
});
