/** Images from outside: every fault has its own error, and none gets as far as the kernel. */
import { describe, expect, test, vi } from "vitest";
import {
  DraftMemory,
  type EngineOptions,
  type ImageHeader,
  type LoadResult,
  loadDraft,
  parseImage,
} from "../../edge/drafting/model/index.ts";
import { kernelModule, nodeHasher, sha256, streamOf } from "../support/draft-engine.ts";
import { emptyImage, type ImagePlan, randomImage, SMALL, xorshift } from "../support/draft-image.ts";

const PLAN: ImagePlan = { shape: SMALL, head: { rows: 75, tied: true, short: true }, type: "int8" };
const IMAGE = randomImage(PLAN);

function codeOf(bytes: Uint8Array, fileBytes?: number): string {
  const result = parseImage(bytes, fileBytes);
  return result.ok ? "ok" : result.error.code;
}

function changed(change: (bytes: Uint8Array<ArrayBuffer>, view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(IMAGE);
  change(bytes, new DataView(bytes.buffer));
  return bytes;
}

/** The image with its JSON edited; the JSON is padded with spaces to the length it had. */
function edited(edit: (json: Record<string, unknown>) => void): Uint8Array {
  return changed((bytes, view) => {
    const length = view.getUint32(12, true);
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(32, 32 + length)));
    edit(json);
    const text = new TextEncoder().encode(JSON.stringify(json).padEnd(length));
    if (text.length > view.getUint32(20, true) - 32) throw new Error("the edit does not fit");
    view.setUint32(12, text.length, true);
    bytes.set(text, 32);
  });
}

// biome-ignore lint/suspicious/noExplicitAny: tests break the JSON at will
type Json = any;

describe("the header", () => {
  test("of a sound image is read", () => {
    const result = parseImage(IMAGE);
    expect(result.ok && result.header).toMatchObject({
      shape: SMALL,
      head: PLAN.head,
      fileBytes: IMAGE.length,
    });
    expect(codeOf(IMAGE.subarray(0, 8192), IMAGE.length)).toBe("ok");
  });

  test.each<[string, Uint8Array, string]>([
    ["empty", new Uint8Array(0), "truncated"],
    ["cut in the fixed part", IMAGE.subarray(0, 20), "truncated"],
    ["cut in the JSON", IMAGE.subarray(0, 200), "truncated"],
    ["cut in the data", IMAGE.subarray(0, IMAGE.length - 64), "truncated"],
    ["longer than it says", new Uint8Array([...IMAGE, 0]), "oversized"],
    ["of another kind", changed((b) => b.set([71, 71, 85, 70])), "not_an_image"],
    ["of another version", changed((_, v) => v.setUint32(8, 2, true)), "wrong_version"],
    ["with a huge header", changed((_, v) => v.setUint32(12, 0xffffffff, true)), "bad_header"],
    ["with data inside its header", changed((_, v) => v.setUint32(20, 64, true)), "bad_header"],
    [
      "with data off the grid",
      changed((_, v) => v.setUint32(20, v.getUint32(20, true) + 4, true)),
      "bad_header",
    ],
    ["with bytes that mean nothing yet", changed((_, v) => v.setUint32(28, 1, true)), "bad_header"],
    ["with a field that means nothing yet", edited((j: Json) => (j.head.biased = 1)), "bad_header"],
    ["with broken JSON", changed((b) => b.set([0x7d], 33)), "bad_header"],
    ["with a header that is not UTF-8", changed((b) => b.set([0xff], 40)), "bad_header"],
    ["without a shape", edited((j: Json) => delete j.shape), "bad_header"],
    ["with a negative size", edited((j: Json) => (j.shape.ffn = -1)), "bad_header"],
    ["with a fraction", edited((j: Json) => (j.shape.layers = 1.5)), "bad_header"],
    ["with an unknown type", edited((j: Json) => (j.tensors[0].type = "int2")), "bad_header"],
    ["with an unknown scaling", edited((j: Json) => (j.rope.scaling = { type: "yarn" })), "bad_header"],
    ["with odd heads", edited((j: Json) => (j.shape.head_dim = 48)), "wrong_shape"],
    ["with an odd width", edited((j: Json) => (j.shape.hidden = 100)), "wrong_shape"],
    ["with heads that do not share evenly", edited((j: Json) => (j.shape.kv_heads = 3)), "wrong_shape"],
    ["with more rows than ids", edited((j: Json) => (j.head.rows = 301)), "wrong_shape"],
    ["with another shape than its tensors'", edited((j: Json) => (j.shape.vocab = 299)), "bad_tensor"],
    ["with one layer more", edited((j: Json) => (j.shape.layers = 3)), "bad_tensor"],
    ["without a tensor", edited((j: Json) => j.tensors.pop()), "bad_tensor"],
    ["with a tensor twice", edited((j: Json) => (j.tensors[1].name = "embedding")), "bad_tensor"],
    ["with a tensor beyond its end", edited((j: Json) => (j.tensors[0].offset = IMAGE.length)), "bad_tensor"],
    ["with a tensor in the header", edited((j: Json) => (j.tensors[0].offset = 0)), "bad_tensor"],
    ["with a tensor off the grid", edited((j: Json) => (j.tensors[0].offset += 4)), "bad_tensor"],
    [
      "with two tensors in one place",
      edited((j: Json) => (j.tensors[1].offset = j.tensors[7].offset)),
      "bad_tensor",
    ],
    ["with a tensor of other bytes", edited((j: Json) => (j.tensors[0].bytes -= 64)), "bad_tensor"],
    ["with a quantised norm", edited((j: Json) => (j.tensors[1].type = "int8")), "bad_tensor"],
  ])("of a file %s", (_, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  test("whatever is flipped or cut, is read or refused, never thrown", () => {
    const random = xorshift(3);
    for (let i = 0; i < 3000; i++) {
      const bytes = IMAGE.slice(0, i % 3 === 0 ? random() % IMAGE.length : IMAGE.length);
      for (let flips = random() % 4; flips >= 0; flips--) {
        // Mostly in the header, where it matters.
        const at = random() % Math.min(bytes.length || 1, i % 2 === 0 ? 40 : 3000);
        bytes[at] = bytes[at]! ^ (1 << (random() % 8));
      }
      const result = parseImage(bytes);
      if (result.ok) expectWithinBounds(result.header, bytes.length);
      else expect(result.error.message).not.toBe("");
    }
  });
});

function expectWithinBounds({ tensors }: ImageHeader, bytes: number): void {
  for (const tensor of tensors.values()) expect(tensor.offset + tensor.bytes).toBeLessThanOrEqual(bytes);
}

describe("loading", () => {
  type Source = { said?: Uint8Array; stream?: ReadableStream<Uint8Array>; limitBytes?: number };

  /** Loads `bytes`; `said`: the file that the manifest describes, if it is another. */
  async function load(bytes: Uint8Array, { said = bytes, stream, limitBytes }: Source = {}) {
    const memory = new DraftMemory(await kernelModule(), limitBytes ?? 64 << 20);
    const file = { bytes: said.length, sha256: sha256(said) };
    const options: Partial<EngineOptions> = { poolPositions: 256 };
    return { memory, result: await loadDraft(memory, stream ?? streamOf(bytes), file, nodeHasher, options) };
  }
  const code = (result: LoadResult) => (result.ok ? "ok" : result.error.code);

  test("a sound image loads, also from a stream without a BYOB reader", async () => {
    const plain = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < IMAGE.length; at += 999) controller.enqueue(IMAGE.slice(at, at + 999));
        controller.close();
      },
    });
    expect(code((await load(IMAGE)).result)).toBe("ok");
    expect(code((await load(IMAGE, { stream: plain })).result)).toBe("ok");
  });

  test("an image whose digest differs is not used, and its memory is free again", async () => {
    const flipped = changed((b) => b.set([b[b.length - 100]! ^ 1], b.length - 100));
    const { memory, result } = await load(flipped, { said: IMAGE });
    expect(code(result)).toBe("digest_mismatch");
    expect(memory.take(1)?.at).toBe(memory.kernel.heapStart());
  });

  test("short and long streams, broken streams and a full memory are told apart", async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("gone")),
    });
    expect(code((await load(IMAGE.subarray(0, 9000), { said: IMAGE })).result)).toBe("truncated");
    expect(code((await load(new Uint8Array([...IMAGE, 1]), { said: IMAGE })).result)).toBe("oversized");
    expect(code((await load(IMAGE, { stream: broken })).result)).toBe("read_failed");
    expect(code((await load(IMAGE, { limitBytes: 200_000 })).result)).toBe("no_memory");
    expect(code((await load(IMAGE, { limitBytes: IMAGE.length + 131_072 })).result)).toBe("no_memory");
  });

  test("a file with a matching digest but a bad header or content is refused", async () => {
    expect(code((await load(changed((_, v) => v.setUint32(8, 9, true)))).result)).toBe("wrong_version");
    const { tensors } = emptyImage(PLAN);
    const at = (name: string) => tensors.find((tensor) => tensor.name === name)!.offset;
    const descending = changed((_, v) => v.setUint32(at("head_ids") + 4, 0, true));
    const outside = changed((_, v) => v.setUint32(at("head_ids") + 74 * 4, SMALL.vocab, true));
    const above127 = changed((b) => b.set([128], at("layers.1.down") + 544 + 511));
    expect(code((await load(descending)).result)).toBe("bad_tensor");
    expect(code((await load(outside)).result)).toBe("bad_tensor");
    expect(code((await load(above127)).result)).toBe("bad_tensor");
  });

  test("a file that was broken before it was signed is refused, or drafts ids of its vocabulary", async () => {
    const random = xorshift(7);
    let drafted = 0;
    for (let i = 0; i < 60; i++) {
      const broken = changed((bytes) => {
        for (let flips = 0; flips < 200; flips++)
          bytes[4096 + (random() % (bytes.length - 4096))]! ^= 1 << (random() % 7);
      });
      const { result } = await load(broken);
      if (!result.ok) continue;
      const sequence = result.engine.open();
      sequence.extend(Array.from({ length: 40 }, () => random() % SMALL.vocab));
      const { tokens } = await sequence.draft(4, { temperature: i % 2, seed: 5n });
      expect(tokens).toHaveLength(4);
      for (const { id, runnerUp } of tokens) {
        for (const one of [id, runnerUp.id]) expect(one >= 0 && one < SMALL.vocab).toBe(true);
      }
      drafted++;
    }
    expect(drafted).toBeGreaterThan(10);
  });

  test("a load that never ends gives its memory to the next, and touches it no more", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void writer.write(IMAGE.slice(0, 4096));
    const memory = new DraftMemory(await kernelModule(), 64 << 20);
    const file = { bytes: IMAGE.length, sha256: sha256(IMAGE) };
    const load = (from: ReadableStream<Uint8Array>) =>
      loadDraft(memory, from, file, nodeHasher, { poolPositions: 256 });
    const image = (bytes: number) => memory.view(memory.kernel.heapStart(), bytes);
    const first = load(readable);
    await vi.waitFor(() => expect(image(4096)).toEqual(IMAGE.subarray(0, 4096)));
    const second = await load(streamOf(IMAGE));
    if (!second.ok) throw new Error(second.error.message);
    writer.write(new Uint8Array(IMAGE.length - 4096)).catch(() => undefined);
    expect(code(await first)).toBe("superseded");
    expect(image(IMAGE.length)).toEqual(IMAGE);
    second.engine.close();
    expect(memory.take(1)?.at).toBe(memory.kernel.heapStart());
  });

  test("a second image lies beside the first in the same memory, or takes its place", async () => {
    const { memory, result } = await load(IMAGE);
    if (!result.ok) throw new Error("the first does not load");
    const other = randomImage({ ...PLAN, seed: 2 });
    const file = { bytes: other.length, sha256: sha256(other) };
    const load2 = () => loadDraft(memory, streamOf(other), file, nodeHasher, { poolPositions: 256 });
    const beside = await load2();
    expect(code(beside)).toBe("ok");
    const bytes = memory.bytes;
    result.engine.close();
    const third = await load2();
    expect(code(third)).toBe("ok");
    expect(memory.bytes).toBe(bytes);
    if (!beside.ok || !third.ok) return;
    const drafts = [];
    for (const { engine } of [beside, third]) {
      const sequence = engine.open();
      sequence.extend([1, 2, 3]);
      drafts.push(await sequence.draft(4, { temperature: 0, seed: 0n }));
    }
    expect(drafts[0]).toEqual(drafts[1]);
  });
});
