/** The kernel against the plain reference, bit for bit, over everything that a model's shape may vary. */
import { describe, expect, test } from "vitest";
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { Reference } from "../../edge/drafting/model/reference.ts";
import { engineOf, type KernelBuild } from "../support/draft-engine.ts";
import { type ImagePlan, randomImage, SMALL } from "../support/draft-image.ts";

const MODELS: Record<string, ImagePlan> = {
  "int8, grouped heads of 32": { shape: SMALL, type: "int8" },
  "int4, grouped heads of 32": { shape: SMALL, type: "int4" },
  "int4, one KV head per head of 64": {
    shape: { ...SMALL, heads: 2, kv_heads: 2, head_dim: 64 },
    type: "int4",
  },
  "int8, heads of 128, an attention wider than the model": {
    shape: { ...SMALL, heads: 3, kv_heads: 1, head_dim: 128 },
    type: "int8",
  },
  "an untied head": {
    shape: { ...SMALL, vocab: 301 },
    head: { rows: 301, tied: false, short: false },
    type: "int8",
  },
  "a short head; embedding and head in int4, the body in int8": {
    shape: SMALL,
    head: { rows: 75, tied: true, short: true },
    type: (name) => (name === "embedding" || name === "head" ? "int4" : "int8"),
  },
  "an untied short head in int8, the rest in int4, heads of 128": {
    shape: { ...SMALL, heads: 2, kv_heads: 1, head_dim: 128, vocab: 299 },
    head: { rows: 77, tied: false, short: true },
    type: (name) => (name === "head" ? "int8" : "int4"),
  },
  "one layer, and a model narrower than its attention": {
    shape: { ...SMALL, layers: 1, hidden: 32, heads: 6, kv_heads: 3, ffn: 32, vocab: 17 },
    type: "int8",
  },
  "types mixed layer by layer": {
    shape: SMALL,
    type: (name) => (/layers\.1|gate_up/.test(name) ? "int4" : "int8"),
  },
  "another theta and eps, llama3 scaling": {
    shape: SMALL,
    type: "int8",
    normEps: 1e-2,
    rope: {
      theta: 500000,
      scaling: {
        type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_context: 32,
      },
    },
  },
};
const BUILDS: KernelBuild[] = ["draft.wasm", "draft-simd.wasm"];
/** Two pages and a part, so that softmax groups, masking and page borders all take part. */
const IDS = Array.from({ length: 70 }, (_, i) => (i * 7919 + 13) % SMALL.vocab);

/** Logits after the last of `ids`. */
async function logitsAfter(engine: DraftEngine, ids: readonly number[]): Promise<Float32Array> {
  const sequence = engine.open();
  sequence.extend(ids);
  const { tokens } = await sequence.draft(1, { temperature: 0, seed: 0n });
  expect(tokens).toHaveLength(1);
  sequence.close();
  return engine.logits().slice();
}

describe.each(Object.entries(MODELS))("%s", (_, plan) => {
  const image = randomImage(plan);
  const reference = new Reference(image);
  let expected = new Float32Array();
  const ids = IDS.map((id) => id % plan.shape.vocab);
  ids.forEach((id, position) => {
    expected = new Float32Array(reference.step(id, position));
  });

  test.each(BUILDS)("%s gives the reference's logits", async (build) => {
    const engine = await engineOf(image, {}, build);
    expect(await logitsAfter(engine, ids)).toEqual(expected);
  });

  test("one token at a time gives the bits of blocks of sixteen", async () => {
    const engine = await engineOf(image);
    const sequence = engine.open();
    for (const id of ids) {
      sequence.extend([id]);
      await sequence.draft(1, { temperature: 0, seed: 0n });
      sequence.rewind(sequence.length - 1);
    }
    expect(engine.logits()).toEqual(expected);
  });
});

test("the reference tells models apart", async () => {
  const one = new Reference(randomImage({ shape: SMALL, type: "int8", seed: 1 }));
  const engine = await engineOf(randomImage({ shape: SMALL, type: "int8", seed: 2 }));
  expect(await logitsAfter(engine, [5])).not.toEqual(one.step(5, 0));
});
