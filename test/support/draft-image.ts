/** Draft images made in tests: any shape, random quants and scales of about unit gain. */
import type { Rope } from "../../edge/drafting/model/header.ts";
import { FIXED_BYTES, FORMAT_VERSION, MAGIC } from "../../edge/drafting/model/image.ts";
import { ALIGNMENT } from "../../edge/drafting/model/image-checks.ts";
import {
  type ExpectedTensor,
  expectedTensors,
  type Head,
  type Shape,
  type Tensor,
  type TensorType,
  tensorBytes,
} from "../../edge/drafting/model/shape.ts";

export type ImagePlan = {
  readonly shape: Shape;
  readonly head?: Head;
  readonly rope?: Rope;
  readonly normEps?: number;
  /** Type of a quantised matrix by its name. */
  readonly type: "int4" | "int8" | ((name: string) => "int4" | "int8");
  readonly seed?: number;
};

/** A small GQA model; spread it and change what a test is about. */
export const SMALL: Shape = {
  layers: 2,
  hidden: 128,
  heads: 4,
  kv_heads: 2,
  head_dim: 32,
  ffn: 192,
  vocab: 300,
  context: 256,
};

/** An image with random weights. */
export function randomImage(plan: ImagePlan): Uint8Array {
  const image = emptyImage(plan);
  const random = xorshift(plan.seed ?? 1);
  for (const tensor of image.tensors) {
    if (tensor.type === "f32") fillGains(image.bytes, tensor, gainOf(tensor.name, plan), random);
    else if (tensor.type === "u32") fillHeadIds(image.bytes, tensor, plan.shape.vocab);
    else fillCells(image.bytes, tensor, random);
  }
  return image.bytes;
}

/** A tied head has embeddings of size 1 for weights: the last norm then keeps logits within a few units. */
function gainOf(name: string, { shape, head }: ImagePlan): number {
  return name === "norm" && (head?.tied ?? true) ? 2 / Math.sqrt(shape.hidden) : 1;
}

/** Header and empty tensors. */
export function emptyImage(plan: ImagePlan): { bytes: Uint8Array; tensors: readonly Tensor[] } {
  const { shape } = plan;
  const head = plan.head ?? { rows: shape.vocab, tied: true, short: false };
  const typeOf = (t: ExpectedTensor): TensorType => {
    if (t.type !== "quantised") return t.type;
    return typeof plan.type === "string" ? plan.type : plan.type(t.name);
  };
  const place = (from: number): Tensor[] => {
    let offset = from;
    return expectedTensors(shape, head).map((t) => {
      const type = typeOf(t);
      const tensor = {
        name: t.name,
        type,
        rows: t.rows,
        cols: t.cols,
        offset,
        bytes: tensorBytes(type, t.rows, t.cols),
      };
      offset = aligned(offset + tensor.bytes);
      return tensor;
    });
  };
  const describe = (tensors: readonly Tensor[]) =>
    new TextEncoder().encode(
      JSON.stringify({
        shape,
        norm_eps: plan.normEps ?? 1e-5,
        rope: plan.rope ?? { theta: 10000, scaling: null },
        head,
        tensors,
      }),
    );
  // Offsets have at most as many digits as this start gives them.
  const dataOffset = aligned(FIXED_BYTES + describe(place(1 << 27)).length);
  const tensors = place(dataOffset);
  const json = describe(tensors);
  const last = tensors.at(-1)!;
  const bytes = new Uint8Array(aligned(last.offset + last.bytes));
  bytes.set(new TextEncoder().encode(MAGIC));
  bytes.set(json, FIXED_BYTES);
  const fixed = new DataView(bytes.buffer);
  fixed.setUint32(8, FORMAT_VERSION, true);
  fixed.setUint32(12, json.length, true);
  fixed.setUint32(16, bytes.length, true);
  fixed.setUint32(20, dataOffset, true);
  return { bytes, tensors };
}

const aligned = (at: number): number => Math.ceil(at / ALIGNMENT) * ALIGNMENT;

/** Uniform 32-bit integers (Marsaglia 2003). */
export function xorshift(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function fillGains(bytes: Uint8Array, tensor: Tensor, size: number, random: () => number): void {
  const gains = new Float32Array(bytes.buffer, tensor.offset, tensor.cols);
  for (let i = 0; i < gains.length; i++) gains[i] = size * (0.8 + (0.4 * random()) / 2 ** 32);
}

function fillHeadIds(bytes: Uint8Array, tensor: Tensor, vocab: number): void {
  const ids = new Uint32Array(bytes.buffer, tensor.offset, tensor.cols);
  for (let row = 0; row < ids.length; row++) ids[row] = Math.floor((row * vocab) / ids.length);
}

/** Random quants; scales differ by row and group; rows that pad the last cell are zero. */
function fillCells(bytes: Uint8Array, tensor: Tensor, random: () => number): void {
  const four = tensor.type === "int4";
  const quantBytes = four ? 256 : 512;
  const spread = (four ? 4.6 : 37) * (tensor.name === "embedding" ? 1 : Math.sqrt(tensor.cols));
  const words = new Uint32Array(bytes.buffer, tensor.offset, tensor.bytes / 4);
  const cellsPerRow = tensor.cols / 32;
  const cellWords = quantBytes / 4 + 8;
  for (let cell = 0; cell * cellWords < words.length; cell++) {
    const at = cell * cellWords;
    // int8 quants are 1..127.
    for (let i = 0; i < quantBytes / 4; i++)
      words[at + i] = four ? random() : (random() & 0x7f7f7f7f) | 0x01010101;
    const scales = new Uint16Array(bytes.buffer, tensor.offset + at * 4 + quantBytes, 16);
    for (let lane = 0; lane < 16; lane++) {
      const row = Math.floor(cell / cellsPerRow) * 16 + lane;
      const factor = 0.5 + random() / 2 ** 32;
      scales[lane] = row < tensor.rows ? bf16(factor / spread) : 0;
    }
  }
}

function bf16(value: number): number {
  return (new Uint32Array(new Float32Array([value]).buffer)[0]! + 0x8000) >>> 16;
}
