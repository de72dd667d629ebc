/**
 * A draft image that knows the next token: its layers add nothing, and row `next(id)` of its head is the embedding of
 * `id`, so after `id` the largest logit by far is that of `next(id)`.
 */
import type { Shape, Tensor } from "../../edge/drafting/model/shape.ts";
import { emptyImage, xorshift } from "./draft-image.ts";

/** One whole cell row of hidden units is plenty to tell a few hundred embeddings apart. */
const HIDDEN = 128;
const ONE = 32;
/** bfloat16 of 1/32: a quant of 32 is the value 1. */
const SCALE = 0x3d00;
const ZERO_POINT = 64;

export function oracleDraft(vocabulary: number, next: (id: number) => number): Uint8Array {
  const shape: Shape = {
    layers: 1,
    hidden: HIDDEN,
    heads: 4,
    kv_heads: 4,
    head_dim: 32,
    ffn: 64,
    vocab: vocabulary,
    context: 256,
  };
  const head = { rows: vocabulary, tied: false, short: false };
  const { bytes, tensors } = emptyImage({ shape, head, type: "int8" });
  const find = (name: string) => tensors.find((tensor) => tensor.name === name)!;
  for (const name of ["norm", "layers.0.attention_norm", "layers.0.mlp_norm"]) {
    new Float32Array(bytes.buffer, find(name).offset, HIDDEN).fill(1);
  }
  const random = xorshift(3);
  const embedding = Array.from({ length: vocabulary }, () =>
    Array.from({ length: HIDDEN }, () => (random() & 1 ? ONE : -ONE)),
  );
  for (let id = 0; id < vocabulary; id++) {
    writeRow(bytes, find("embedding"), id, embedding[id]!);
    writeRow(bytes, find("head"), next(id), embedding[id]!);
  }
  return bytes;
}

/** Writes one row of an int8 matrix into its cells of 16 rows by 32 columns. */
function writeRow(bytes: Uint8Array, tensor: Tensor, row: number, quants: readonly number[]): void {
  const view = new DataView(bytes.buffer);
  const lane = row % 16;
  for (const [column, quant] of quants.entries()) {
    const cell = tensor.offset + (Math.floor(row / 16) * (tensor.cols / 32) + Math.floor(column / 32)) * 544;
    const within = column % 32;
    bytes[cell + Math.floor(within / 4) * 64 + lane * 4 + (within % 4)] = quant + ZERO_POINT;
    view.setUint16(cell + 512 + lane * 2, SCALE, true);
  }
}
