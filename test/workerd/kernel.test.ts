/** The draft model where it is to run: loaded from R2 through a BYOB reader, hashed by DigestStream, slices between. */
import { env as testEnv } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import relaxed from "../../edge/drafting/kernel/build/draft.wasm";
import plain from "../../edge/drafting/kernel/build/draft-simd.wasm";
import { DraftMemory, digestStreamHasher, loadDraft } from "../../edge/drafting/model/index.ts";
import { Reference } from "../../edge/drafting/model/reference.ts";
import golden from "../cases/draft-kernel.json" with { type: "json" };
import { randomImage, SMALL } from "../support/draft-image.ts";
import { draftGolden, goldenImage } from "../support/golden-drafts.ts";

const bucket = (testEnv as unknown as { RELEASES: R2Bucket }).RELEASES;

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Loads an image from the bucket. */
async function load(module: WebAssembly.Module, image: Uint8Array, digest?: string) {
  await bucket.put("model.draft", image);
  const object = await bucket.get("model.draft");
  const file = { bytes: image.length, sha256: digest ?? (await sha256(image)) };
  return loadDraft(new DraftMemory(module, 64 << 20), object!.body, file, digestStreamHasher);
}

async function engineOf(module: WebAssembly.Module, image: Uint8Array) {
  const loaded = await load(module, image);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.engine;
}

let image: Uint8Array;
beforeAll(() => {
  image = randomImage({
    shape: { ...SMALL, head_dim: 64 },
    type: (name) => (/down/.test(name) ? "int4" : "int8"),
  });
});

test.each([
  ["relaxed SIMD", relaxed],
  ["plain SIMD", plain],
])("the %s build gives what Node gives", async (_, module) => {
  expect(await draftGolden(await engineOf(module, goldenImage()))).toEqual(golden);
});

test("logits equal the reference's, bit for bit", async () => {
  const engine = await engineOf(relaxed, image);
  const reference = new Reference(image);
  const ids = [5, 299, 0, 17, 5, 88];
  const sequence = engine.open();
  sequence.extend(ids);
  await sequence.draft(1, { temperature: 0, seed: 0n });
  let expected = new Float32Array();
  ids.forEach((id, position) => {
    expected = new Float32Array(reference.step(id, position));
  });
  expect(engine.logits()).toEqual(expected);
});

test("an image that is not the manifest's is refused", async () => {
  const loaded = await load(relaxed, image, "0".repeat(64));
  expect(loaded).toMatchObject({ ok: false, error: { code: "digest_mismatch" } });
});

test("a prefill in blocks is faster than drafting token by token", async () => {
  const shape = { ...SMALL, layers: 4, hidden: 256, ffn: 704, vocab: 2048 };
  const engine = await engineOf(relaxed, randomImage({ shape, type: "int8" }));
  const prompt = Array.from({ length: 64 }, (_, i) => (i * 31) % shape.vocab);
  const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number];
  // 1.8 and more where nothing else runs; what else the machine does only adds to a round, so that some show it.
  const isFaster = () => best[1] / best[0] > 1.2;
  for (let round = 0; round < 8 || (round < 100 && !isFaster()); round++) {
    for (const piece of [64, 1]) {
      const start = performance.now();
      const sequence = engine.open();
      for (let at = 0; at < prompt.length; at += piece) {
        sequence.extend(prompt.slice(at, at + piece));
        sequence.draftWork(1, { temperature: 0, seed: 0n }).advance(Number.POSITIVE_INFINITY);
        sequence.rewind(at + piece);
      }
      sequence.close();
      const index = piece === 64 ? 0 : 1;
      best[index] = Math.min(best[index], performance.now() - start);
    }
  }
  expect(isFaster()).toBe(true);
});

test("work leaves the event loop to others between slices", async () => {
  const engine = await engineOf(relaxed, image);
  const { tokens: alone } = await draftAfter(engine, 200);
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const sliced = await loadWithSlices(image, 1e6);
  const { tokens } = await draftAfter(sliced, 200);
  clearInterval(timer);
  expect(tokens).toEqual(alone);
  expect(turns).toBeGreaterThan(5);
});

async function draftAfter(engine: Awaited<ReturnType<typeof engineOf>>, count: number) {
  const sequence = engine.open();
  sequence.extend(Array.from({ length: count }, (_, i) => (i * 31) % SMALL.vocab));
  return sequence.draft(6, { temperature: 1, seed: 3n });
}

async function loadWithSlices(image: Uint8Array, sliceMacs: number) {
  const file = { bytes: image.length, sha256: await sha256(image) };
  const memory = new DraftMemory(relaxed, 64 << 20);
  const loaded = await loadDraft(memory, new Response(image).body!, file, digestStreamHasher, {
    sliceMacs,
  });
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.engine;
}
