/** The memory budget: an isolate has 128 MB for everything, which nothing enforces locally. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { buildTargetText } from "../../edge/text/target-text.ts";
import { BENCH_SHAPES } from "../../infra/bench/kernel/shapes.ts";
import { targetManifest, tokenizerJson } from "../support/byte-tokenizer.ts";
import { engineOf } from "../support/draft-engine.ts";
import { emptyImage } from "../support/draft-image.ts";

/** Bytes measured, by shape and bits. */
const linearMemory = new Map<string, number>();

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
  linearMemory.set(`${name} ${bits}`, engine.memory.bytes);
  expect(engine.memory.bytes).toBeLessThanOrEqual(budget);
  expect(engine.pages.total).toBe(poolPositions / 32);
});

/** A tokenizer as large as AMD-135M's (32,000 entries, 61,249 merges): words of up to four of 36 characters. */
function largeTokenizer(): Record<string, unknown> {
  const characters = "abcdefghijklmnopqrstuvwxyz0123456789".split("");
  const pieces = [...characters];
  const merges: [string, string][] = [];
  for (let i = 0; pieces.length < 32_000; i++) {
    const piece = pieces[i]!;
    for (const character of characters) {
      pieces.push(piece + character);
      merges.push([piece, character]);
      if (piece.length > 1) merges.push([piece[0]!, piece.slice(1) + character]);
    }
  }
  pieces.length = 32_000;
  merges.length = 61_249;
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  return { ...tokenizerJson, added_tokens: [], model: { ...tokenizerJson.model, vocab, merges } };
}

test("the AMD-135M shape and its tokenizer's heap stay within 113 MB together", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const text = JSON.stringify(largeTokenizer());
  const manifest = targetManifest("0".repeat(64), text.length);
  collect();
  const before = process.memoryUsage().heapUsed;
  const target = buildTargetText(manifest, JSON.parse(text), {});
  expect(target.encode("abcd", false).length).toBeGreaterThan(0);
  collect();
  const heap = process.memoryUsage().heapUsed - before;
  expect(heap).toBeGreaterThan(1e6);
  expect(linearMemory.get("amd135m 4")! + heap).toBeLessThanOrEqual(113e6);
});
