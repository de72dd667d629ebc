/** The shape of a Llama-family draft model and what follows from it: its tensors and their sizes in an image. */

export type Shape = {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kv_heads: number;
  readonly head_dim: number;
  readonly ffn: number;
  readonly vocab: number;
  readonly context: number;
};
/** `rows`: rows of the output head. `short`: it has rows for some ids only, named by the tensor `head_ids`. */
export type Head = { readonly rows: number; readonly tied: boolean; readonly short: boolean };
export type TensorType = "f32" | "int8" | "int4" | "u32";
export type Tensor = {
  readonly name: string;
  readonly type: TensorType;
  readonly rows: number;
  readonly cols: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
};

const CELL_ROWS = 16;
const CELL_COLUMNS = 32;
const CELL_BYTES = { int4: 288, int8: 544 } as const;

/** Bytes that a tensor takes in an image, padding of its rows to whole cells included. */
export function tensorBytes(type: TensorType, rows: number, cols: number): number {
  if (type === "f32" || type === "u32") return rows * cols * 4;
  return Math.ceil(rows / CELL_ROWS) * (cols / CELL_COLUMNS) * CELL_BYTES[type];
}

/** One tensor that an image of this shape must hold; `quantised`: int8 or int4, else exactly `type`. */
export type ExpectedTensor = { name: string; rows: number; cols: number; type: "quantised" | "f32" | "u32" };

/** Every tensor of an image, in no order that matters. */
export function expectedTensors(shape: Shape, head: Head): ExpectedTensor[] {
  const { layers, hidden, heads, kv_heads, head_dim, ffn, vocab } = shape;
  const attended = heads * head_dim;
  const list: ExpectedTensor[] = [{ name: "embedding", rows: vocab, cols: hidden, type: "quantised" }];
  for (let l = 0; l < layers; l++) {
    const at = `layers.${l}`;
    list.push(
      { name: `${at}.attention_norm`, rows: 1, cols: hidden, type: "f32" },
      { name: `${at}.qkv`, rows: attended + 2 * kv_heads * head_dim, cols: hidden, type: "quantised" },
      { name: `${at}.output`, rows: hidden, cols: attended, type: "quantised" },
      { name: `${at}.mlp_norm`, rows: 1, cols: hidden, type: "f32" },
      { name: `${at}.gate_up`, rows: 2 * ffn, cols: hidden, type: "quantised" },
      { name: `${at}.down`, rows: hidden, cols: ffn, type: "quantised" },
    );
  }
  list.push({ name: "norm", rows: 1, cols: hidden, type: "f32" });
  if (hasHeadTensor(head)) list.push({ name: "head", rows: head.rows, cols: hidden, type: "quantised" });
  if (head.short) list.push({ name: "head_ids", rows: 1, cols: head.rows, type: "u32" });
  return list;
}

/** A tied head over the whole vocabulary is the embedding itself. */
export const hasHeadTensor = (head: Head): boolean => !head.tied || head.short;

/** Multiply-adds of one token in one layer, attention over earlier positions left out. */
export function layerMacs(s: Shape): number {
  return s.hidden * ((2 * s.heads + 2 * s.kv_heads) * s.head_dim + 3 * s.ffn);
}
/** Multiply-adds of a token that only leaves its keys and values in the last layer. */
export const lastLayerMacs = (s: Shape): number => s.hidden * 2 * s.kv_heads * s.head_dim;
/** Multiply-adds of one token's logits. */
export const headMacs = (shape: Shape, head: Head): number => shape.hidden * head.rows;
/** Multiply-adds of one drafted token, attention left out. */
export const draftMacs = (shape: Shape, head: Head): number =>
  shape.layers * layerMacs(shape) + headMacs(shape, head);
/** Multiply-adds of one token's attention over `positions` positions in one layer. */
export const attentionMacs = (s: Shape, positions: number): number => 2 * s.heads * s.head_dim * positions;
