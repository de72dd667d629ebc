/** The memory budget: an isolate has 128 MB for everything, which nothing enforces locally. */
import { expect, test } from "vitest";
import { BENCH_SHAPES } from "../../infra/bench/kernel/shapes.ts";
import { engineOf } from "../support/draft-engine.ts";
import { emptyImage } from "../support/draft-image.ts";

test.each([
  ["amd135m", 4, 88e6],
  ["default", 8, 60e6],
  ["default", 4, 40e6],
] as const)("%s in int%i with four open sequences stays within %d bytes", async (name, bits, budget) => {
  const plan = BENCH_SHAPES.find((one) => one.name === name && one.bits === bits)!;
  const { shape, head, poolPositions } = plan;
  const { bytes, tensors } = emptyImage({ shape, head, type: bits === 4 ? "int4" : "int8" });
  // The ids of a short head are all that an empty image lacks.
  const headIds = tensors.find((tensor) => tensor.name === "head_ids");
  if (headIds)
    new Uint32Array(bytes.buffer, headIds.offset, head.rows).forEach((_, i, ids) => {
      ids[i] = i;
    });
  const engine = await engineOf(bytes, { poolPositions });
  const sequences = Array.from({ length: 4 }, () => engine.open());
  for (const sequence of sequences) {
    sequence.extend(Array.from({ length: 100 }, (_, i) => i));
    sequence.draftWork(1, { temperature: 0, seed: 0n }).advance(1);
  }
  expect(engine.memory.bytes).toBeLessThanOrEqual(budget);
  expect(engine.pages.total).toBe(poolPositions / 32);
});
