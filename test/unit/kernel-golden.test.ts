/** Every build gives the golden drafts in Node; test/workerd/kernel.test.ts asks the same of workerd. */
import { expect, test } from "vitest";
import golden from "../cases/draft-kernel.json" with { type: "json" };
import { engineOf } from "../support/draft-engine.ts";
import { draftGolden, goldenImage } from "../support/golden-drafts.ts";

test.each(["draft.wasm", "draft-simd.wasm"] as const)("%s gives the golden drafts", async (build) => {
  expect(await draftGolden(await engineOf(goldenImage(), {}, build))).toEqual(golden);
});
