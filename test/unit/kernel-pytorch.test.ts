/** The kernel against PyTorch, on the tiny draft that our own trainer made (`python -m trainer golden`). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import golden from "../cases/draft-golden.json" with { type: "json" };
import { engineOf, sha256 } from "../support/draft-engine.ts";

const IMAGE = join(import.meta.dirname, "../../infra/models/tiny/draft/model.draft");

test("logits of the tiny draft are PyTorch's, but for int8 activations and cache", async () => {
  const image = new Uint8Array(await readFile(IMAGE));
  expect(sha256(image), "the golden logits are of another image").toBe(golden.image_sha256);
  const engine = await engineOf(image);
  const errors: number[] = [];
  let agreed = 0;
  for (const { ids, top_ids, top_logits } of golden.cases) {
    const sequence = engine.open();
    for (const [position, id] of ids.entries()) {
      sequence.extend([id]);
      const { tokens } = await sequence.draft(1, { temperature: 0, seed: 0n });
      sequence.rewind(position + 1);
      const logits = engine.logits();
      const spread = standardDeviation(logits);
      top_ids[position]!.forEach((top, rank) => {
        errors.push((logits[top]! - top_logits[position]![rank]!) / spread);
      });
      if (tokens[0]!.id === top_ids[position]![0]) agreed++;
    }
    sequence.close();
  }
  // An activation is rounded to 1/127 of the largest in its group of 32: an RMS error of 1/440 of that largest, about
  // 1/180 of the group's own RMS. Some ten roundings lie one behind the other in two layers and the head, whose
  // errors add as squares: 1.8% of the logits' spread.
  expect(Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length)).toBeLessThan(0.02);
  expect(agreed / (errors.length / 8)).toBeGreaterThan(0.9);
});

function standardDeviation(values: Float32Array): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
}
