/** A canary in one isolate: beside the current release where both fit, and who begins with which of them. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import kernel from "../../edge/drafting/kernel/build/draft.wasm";
import { ReleaseLoader } from "../../edge/releases/loader.ts";
import type { ReleaseSource } from "../../edge/releases/wanted.ts";
import {
  type ChannelRecord,
  draftObjectKey,
  sealEnvelope,
  sha256Hex,
} from "../../gpu-service/protocol/manifest.ts";
import { toBase64Url } from "../../gpu-service/protocol/token.ts";
import { targetManifest, tokenizerJson } from "../support/byte-tokenizer.ts";
import { putRelease } from "./releases.ts";
import { env, TARGET, testKeys, toBytes } from "./support.ts";

let now = Date.now();
let logged: string[] = [];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(console, "warn").mockImplementation((line) => logged.push(line));
  vi.spyOn(Date, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

const raw = (await crypto.subtle.exportKey("raw", testKeys.publicKey)) as ArrayBuffer;
/** Room for any of them. */
const MEMORY_BYTES = 88e6;
const IDS = Array.from({ length: 400 }, (_, index) => `req_${index}`);

/** A channel that a test moves, and a bucket whose reads it sees and may hold up. */
class Installation {
  readonly reads: string[] = [];
  readonly source: ReleaseSource;
  /** Asked before an object is read. */
  gate: (key: string) => Promise<unknown> = async () => undefined;
  answer: () => Promise<unknown> = async () => this.#envelope;
  #envelope: unknown = null;
  #sequence = 0;

  constructor() {
    const tokenizer = toBytes(JSON.stringify(tokenizerJson));
    this.source = {
      bucket: { get: (key: string) => this.#get(key) } as unknown as R2Bucket,
      channel: { current: () => this.answer() } as never,
      trusted: [{ id: "test", public_key: toBase64Url(new Uint8Array(raw)) }],
      target: async () => targetManifest(await sha256Hex(tokenizer), tokenizer.length),
    };
  }

  async move(current: string, canary: { release: string; share: number } | null = null): Promise<void> {
    const record: ChannelRecord = {
      target: TARGET,
      sequence: ++this.#sequence,
      current: await putRelease(current),
      canary: canary && { ...(await putRelease(canary.release)), share: canary.share },
      previous: null,
    };
    this.#envelope = await sealEnvelope("channel", JSON.stringify(record), "test", testKeys.privateKey);
  }

  imageReads = (id: string): number =>
    this.reads.filter((key) => key === draftObjectKey(id, "model.draft")).length;

  async #get(key: string) {
    this.reads.push(key);
    await this.gate(key);
    return env.RELEASES.get(key);
  }
}

/** A look of a request that comes so much later. */
function lookAfter(seconds: number, loader: ReleaseLoader, { source }: Installation): Promise<void> {
  now += seconds * 1000;
  return loader.look(source);
}

/** Requests by the release that they begin with. */
function served(loader: ReleaseLoader): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of IDS) {
    const { arm, release } = loader.serve(id);
    const name = `${arm}: ${release?.id}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function roomForOne(): Promise<number> {
  const installation = new Installation();
  await installation.move("size");
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await lookAfter(60, loader, installation);
  return loader.release!.engine.memory.bytes + 65536;
}

it("serves a canary's share with the canary, always the same requests", async () => {
  const installation = new Installation();
  await installation.move("one", { release: "two", share: 0.25 });
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await lookAfter(60, loader, installation);
  const counts = served(loader);
  expect(Object.keys(counts).sort()).toEqual(["canary: two", "current: one"]);
  // Four standard deviations of 400 draws.
  expect(Math.abs(counts["canary: two"]! - 100)).toBeLessThan(35);
  expect(served(loader)).toEqual(counts);
  expect(loader.state.release).toBe("one");
});

it("serves the canary's share with the current release where both do not fit, and says so", async () => {
  const installation = new Installation();
  await installation.move("one", { release: "two", share: 0.5 });
  const loader = new ReleaseLoader(kernel, await roomForOne());
  await lookAfter(60, loader, installation);
  expect(Object.keys(served(loader)).sort()).toEqual(["canary: one", "current: one"]);
  const { state } = loader.serve(IDS.find((id) => loader.serve(id).arm === "canary")!);
  expect(state).toMatchObject({ release: "one", note: expect.stringMatching(/canary two: .* beside one/) });
  expect(logged.join()).toContain("the current release serves the canary's share too");
  expect(logged).toHaveLength(1);
});

it("promotes a canary without reading it again, and goes back to the previous release within 30 s", async () => {
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await installation.move("one", { release: "two", share: 0.5 });
  await lookAfter(60, loader, installation);
  const reads = installation.imageReads("two");
  await installation.move("two");
  await lookAfter(10, loader, installation);
  expect(served(loader)).toEqual({ "current: two": IDS.length });
  expect(installation.imageReads("two")).toBe(reads);
  await installation.move("one");
  await lookAfter(10, loader, installation);
  expect(served(loader)).toEqual({ "current: one": IDS.length });
});

it("ends a canary without interrupting the current release", async () => {
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await installation.move("one", { release: "two", share: 0.5 });
  await lookAfter(60, loader, installation);
  const { engine } = loader.release!;
  const canary = IDS.map((id) => loader.serve(id).release).find((release) => release?.id === "two")!;
  await installation.move("one");
  await lookAfter(10, loader, installation);
  expect(served(loader)).toEqual({ "current: one": IDS.length });
  expect([engine.closed, canary.engine.closed]).toEqual([false, true]);
});

it("gives the canary's place to a new current release where there is room for two only", async () => {
  const room = await roomForOne();
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, 2 * room);
  await installation.move("one", { release: "two", share: 0.5 });
  await lookAfter(60, loader, installation);
  const { engine } = loader.release!;
  // Somebody still drafts with the first one: its memory is not free until it is needed.
  engine.open();
  await installation.move("three", { release: "two", share: 0.5 });
  await lookAfter(10, loader, installation);
  expect(served(loader)).toMatchObject({ "current: three": expect.any(Number) });
  expect(loader.release!.engine.memory.bytes).toBeLessThanOrEqual(2 * room);
  expect(Object.keys(served(loader)).sort()).toEqual(["canary: two", "current: three"]);
});

it("keeps a canary that is broken from harming anything, and tries it again later", async () => {
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await installation.move("one", { release: "broken", share: 0.5 });
  await putRelease("broken", { image: new Uint8Array(4096) });
  await lookAfter(60, loader, installation);
  expect(Object.keys(served(loader)).sort()).toEqual(["canary: one", "current: one"]);
  const reads = installation.imageReads("broken");
  await lookAfter(10, loader, installation);
  expect(installation.imageReads("broken")).toBe(reads);
  await putRelease("broken");
  await lookAfter(60, loader, installation);
  expect(Object.keys(served(loader)).sort()).toEqual(["canary: broken", "current: one"]);
});

it("goes back at once though a load of what was taken back never ends", async () => {
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await installation.move("one");
  await lookAfter(60, loader, installation);
  await installation.move("one", { release: "stuck", share: 1 });
  const isStuck = (key: string) => key === draftObjectKey("stuck", "model.draft");
  installation.gate = (key) => (isStuck(key) ? new Promise(() => undefined) : Promise.resolve());
  void lookAfter(10, loader, installation);
  await vi.waitFor(() => expect(installation.imageReads("stuck")).toBe(1), 20_000);
  await installation.move("three");
  await lookAfter(10, loader, installation);
  expect(served(loader)).toEqual({ "current: three": IDS.length });
});

it("lets a request of an isolate that has long not looked wait for the channel, not for ever", async () => {
  const installation = new Installation();
  const loader = new ReleaseLoader(kernel, MEMORY_BYTES);
  await installation.move("one", { release: "two", share: 0.5 });
  await lookAfter(60, loader, installation);
  await installation.move("two");
  void lookAfter(3600, loader, installation);
  expect(loader.release!.id).toBe("one");
  await loader.fresh();
  expect(loader.release!.id).toBe("two");
  installation.answer = () => new Promise(() => undefined);
  void lookAfter(3600, loader, installation);
  await loader.fresh();
  expect(loader.release!.id).toBe("two");
});
