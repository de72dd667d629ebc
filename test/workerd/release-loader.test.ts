/** Loading and swapping of releases in one isolate: through the cache, one load for all, beside or over the old one. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startDrafting } from "../../edge/drafting/drafting.ts";
import kernel from "../../edge/drafting/kernel/build/draft.wasm";
import { ReleaseLoader } from "../../edge/releases/loader.ts";
import { cacheName, type Stored } from "../../edge/releases/stored.ts";
import type { ReleaseSource } from "../../edge/releases/wanted.ts";
import { draftObjectKey, sealEnvelope, sha256Hex } from "../../gpu-service/protocol/manifest.ts";
import { targetManifest, tokenizerJson, VOCABULARY } from "../support/byte-tokenizer.ts";
import { oracleDraft } from "../support/oracle-draft.ts";
import { nextId, putRelease, type ReleaseChanges } from "./releases.ts";
import { env, eventually, TARGET, testKeys, toBytes } from "./support.ts";

let now = Date.now();
beforeEach(() => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(Date, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Room for any of them. */
const MEMORY_BYTES = 88e6;
const image = Uint8Array.from(oracleDraft(VOCABULARY, nextId));
const raw = (await crypto.subtle.exportKey("raw", testKeys.publicKey)) as ArrayBuffer;
const publicKey = btoa(String.fromCharCode(...new Uint8Array(raw))).replace(
  /[+/=]/g,
  (c) => ({ "+": "-", "/": "_" })[c] ?? "",
);

/** A source whose channel names the release, and the keys of the objects that were read from its bucket. */
async function sourceOf(id: string, changes: ReleaseChanges = {}) {
  const current = await putRelease(id, changes);
  const record = { target: TARGET, sequence: 1, current, canary: null, previous: null };
  const envelope = await sealEnvelope("channel", JSON.stringify(record), "test", testKeys.privateKey);
  const reads: string[] = [];
  const get = (key: string) => {
    reads.push(key);
    return env.RELEASES.get(key);
  };
  const tokenizer = toBytes(JSON.stringify(tokenizerJson));
  const manifest = targetManifest(await sha256Hex(tokenizer), tokenizer.length);
  const source: ReleaseSource = {
    bucket: { get } as unknown as R2Bucket,
    channel: { current: async () => envelope } as never,
    trusted: [{ id: "test", public_key: publicKey }],
    target: async () => manifest,
  };
  const imageReads = () => reads.filter((key) => key === draftObjectKey(id, "model.draft")).length;
  return { source, imageReads };
}

/** Looks as a request would that comes long after the one before. */
function look(loader: ReleaseLoader, source: ReleaseSource): Promise<void> {
  now += 120_000;
  return loader.look(source);
}

/** Requests that draft and confirm on and on; returns what stops them and gives the count of hints since the last ask. */
function busyRequests(loader: ReleaseLoader) {
  let hints = 0;
  const drafters = [1, 2, 3].map((start) => {
    const sampling = { temperature: 0, seed: "0" } as never;
    const request = {
      prompt: [start],
      sampling,
      tenant: "a",
      maxTokens: 1e6,
      vocabulary: VOCABULARY,
      drafts: true,
    };
    const { drafter } = startDrafting({ ...request, hints: "honest" }, loader.release, loader.state);
    drafter!.prepare();
    drafter!.start(({ source }) => {
      if (source === "model") hints++;
    });
    let id = start;
    const timer = setInterval(() => {
      id = nextId(id);
      drafter!.confirm([id]);
    }, 2);
    return { drafter: drafter!, timer };
  });
  return {
    taken: () => {
      const since = hints;
      hints = 0;
      return since;
    },
    stop: () =>
      drafters.forEach(({ drafter, timer }) => {
        clearInterval(timer);
        drafter.stop();
      }),
  };
}

it("loads once for all cold requests, and not at all from the bucket where the cache has it", async () => {
  const { source, imageReads } = await sourceOf("cold");
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await Promise.all([1, 2, 3, 4].map(() => loader.look(source)));
  expect(loader.state).toEqual({ release: "cold", note: null });
  // Once for the memory, once for the cache.
  expect(imageReads()).toBe(2);
  const nextIsolate = new ReleaseLoader(kernel, MEMORY_BYTES);
  await look(nextIsolate, source);
  expect(nextIsolate.state.release).toBe("cold");
  expect(imageReads()).toBe(2);
});

it("does not trust the cache: a copy that does not match is dropped and the bucket's taken", async () => {
  const { source, imageReads } = await sourceOf("poisoned");
  const key = draftObjectKey("poisoned", "model.draft");
  const stored: Stored = { bucket: source.bucket, key, sha256: await sha256Hex(image) };
  const wrong = image.slice();
  wrong[wrong.length - 100]! ^= 1;
  await caches.default.put(
    cacheName(stored),
    new Response(wrong, { headers: { "cache-control": "max-age=60" } }),
  );
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await look(loader, source);
  expect(loader.state.release).toBe("poisoned");
  expect(imageReads()).toBe(2);
  const cached = await caches.default.match(cacheName(stored));
  expect(new Uint8Array(await cached!.arrayBuffer())).toEqual(image);
});

/** Room for one release: another one has to take its place. */
async function roomForOne(): Promise<number> {
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await look(loader, (await sourceOf("size")).source);
  return loader.release!.engine.memory.bytes + 65536;
}

for (const [where, room] of [
  ["beside the old one where both fit", async () => 64e6],
  ["in place of the old one where they do not", roomForOne],
] as const) {
  it(`takes a release up under load ${where}`, async () => {
    const errors = vi.spyOn(console, "error");
    const limit = await room();
    const loader = new ReleaseLoader(kernel, limit);
    await look(loader, (await sourceOf("old")).source);
    const { engine } = loader.release!;
    const requests = busyRequests(loader);
    await eventually(() => expect(requests.taken()).toBeGreaterThan(0));
    await look(loader, (await sourceOf("new")).source);
    expect(loader.state).toEqual({ release: "new", note: null });
    expect(loader.release!.engine.memory).toBe(engine.memory);
    expect(engine.memory.bytes).toBeLessThanOrEqual(limit);
    // Requests of the old release draft on where it is still there; its memory is free once they end.
    expect(engine.closed).toBe(limit !== 64e6);
    requests.taken();
    if (!engine.closed) await eventually(() => expect(requests.taken()).toBeGreaterThan(0));
    const later = busyRequests(loader);
    await eventually(() => expect(later.taken()).toBeGreaterThan(0));
    expect(engine.closed).toBe(limit !== 64e6);
    requests.stop();
    expect(engine.closed).toBe(true);
    later.stop();
    expect(errors).not.toHaveBeenCalled();
  });
}

it("takes the memory of a release before the present one first, though its requests still draft", async () => {
  const loader = new ReleaseLoader(kernel, 2 * (await roomForOne()));
  const engines = [];
  const requests: ReturnType<typeof busyRequests>[] = [];
  const drafting = async () => {
    requests.at(-1)?.taken();
    await eventually(() => expect(requests.at(-1)?.taken()).not.toBe(0));
  };
  for (const id of ["first", "second", "third"]) {
    await look(loader, (await sourceOf(id)).source);
    expect(loader.state.release).toBe(id);
    // The clock has moved on: without a draft since, their seats would count as left.
    await drafting();
    engines.push(loader.release!.engine);
    requests.push(busyRequests(loader));
    await drafting();
  }
  expect(engines.map(({ closed }) => closed)).toEqual([true, false, false]);
  for (const { stop } of requests) stop();
  expect(engines.map(({ closed }) => closed)).toEqual([true, true, false]);
});

it("loads the old release again where the new one, in its place, turns out not to match its digest", async () => {
  const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const errors = vi.spyOn(console, "error");
  const loader = new ReleaseLoader(kernel, await roomForOne());
  await look(loader, (await sourceOf("good")).source);
  const requests = busyRequests(loader);
  await eventually(() => expect(requests.taken()).toBeGreaterThan(0));
  const wrong = image.slice();
  wrong[wrong.length - 100]! ^= 1;
  await look(loader, (await sourceOf("bad", { image: wrong })).source);
  expect(warnings.mock.calls.flat().join()).toMatch(/bad\/model\.draft: sha256/);
  expect(loader.state).toEqual({ release: "good", note: null });
  const later = busyRequests(loader);
  await eventually(() => expect(later.taken()).toBeGreaterThan(0));
  requests.stop();
  later.stop();
  expect(errors).not.toHaveBeenCalled();
});

it("tries a release that does not load again, but more and more rarely", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const wrong = image.slice();
  wrong[wrong.length - 100]! ^= 1;
  const { source, imageReads } = await sourceOf("wrong", { image: wrong });
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  const triesAt: number[] = [];
  for (let minute = 0; minute < 20; minute++) {
    const before = imageReads();
    now += 60_000;
    await loader.look(source);
    if (imageReads() > before) triesAt.push(minute);
  }
  expect(triesAt).toEqual([0, 1, 3, 7, 15]);
});

it("keeps the release it has where the new one is too big for any place", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const loader = new ReleaseLoader(kernel, await roomForOne());
  await look(loader, (await sourceOf("fits")).source);
  const big = new Uint8Array(8e6);
  const files = { "model.draft": { sha256: await sha256Hex(big), bytes: big.length } };
  const tokenizer = toBytes(JSON.stringify(tokenizerJson));
  const entry = { sha256: await sha256Hex(tokenizer), bytes: tokenizer.length };
  await look(
    loader,
    (await sourceOf("big", { image: big, manifest: { files: { ...files, "tokenizer.json": entry } } }))
      .source,
  );
  expect(loader.state.release).toBe("fits");
});

it("begins anew where a look never ends, because its request was ended", async () => {
  const { source } = await sourceOf("after-a-lost-look");
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  void look(loader, { ...source, target: () => new Promise(() => {}) });
  expect(loader.look(source)).toBe(loader.look(source));
  expect(loader.release).toBeUndefined();
  await look(loader, source);
  expect(loader.release?.id).toBe("after-a-lost-look");
});
