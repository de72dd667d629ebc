/**
 * What the kernel knows of a loaded model: shape, where its tensors lie, where its scratch space lies.
 *
 * A description is a block of linear memory filled through the exports of kernel.ts; several may live side by side,
 * so that a new release can be taken up while the old one still serves. All addresses are multiples of 64.
 */

/** Tokens that one pass carries at most. */
export const BLOCK: i32 = 16;
/** Positions in one page of the KV pool; also the group of positions whose attention weights share a scale. */
export const PAGE: i32 = 32;

/** A quantised matrix [rows][columns], stored in cells of 16 rows × 32 columns (see cells.ts). */
@unmanaged
export class Matrix {
  at: usize;
  rows: i32;
  columns: i32;
  /** 4 or 8. */
  bits: i32;

  /** Unsigned quants stand for quant − zero. */
  @inline
  get zero(): i32 {
    return this.bits == 4 ? 8 : 64;
  }
  @inline
  get paddedRows(): i32 {
    return (this.rows + 15) & ~15;
  }
  set(at: usize, rows: i32, columns: i32, bits: i32): void {
    this.at = at;
    this.rows = rows;
    this.columns = columns;
    this.bits = bits;
  }
}

@unmanaged
export class Layer {
  /** f32[hidden] each. */
  attentionNorm: usize;
  mlpNorm: usize;
  /** [(heads + 2 × kvHeads) × headDim][hidden]: query, key and value rows. */
  qkv: Matrix;
  /** [hidden][heads × headDim]. */
  output: Matrix;
  /** [2 × ffn][hidden]: gate rows, then up rows. */
  gateUp: Matrix;
  /** [hidden][ffn]. */
  down: Matrix;
}

@unmanaged
export class Model {
  layers: i32;
  hidden: i32;
  heads: i32;
  kvHeads: i32;
  headDim: i32;
  ffn: i32;
  normEps: f32;
  /** Positions that the RoPE table covers: the longest that a sequence may be. */
  positions: i32;

  embedding: Matrix;
  head: Matrix;
  /** u32[head rows]: token id of each row, ascending; 0 where row = id. */
  headIds: usize;
  /** f32[hidden]. */
  finalNorm: usize;
  /** f32[positions][headDim / 2] of cosines, then as many sines. */
  rope: usize;
  firstLayer: usize;

  /** u32[BLOCK]: ids of the pass. */
  tokens: usize;
  /** u32[positions / PAGE]: addresses of the sequence's pages, in order. */
  pages: usize;
  /** f32[BLOCK][hidden]: the residual stream. */
  residual: usize;
  /** f32[BLOCK][wideFloats]: queries, keys and values, or gate and up. */
  wide: usize;
  wideFloats: i32;
  /** f32[BLOCK][narrowFloats]: what a norm, attention or a projection back to `hidden` gives. */
  narrow: usize;
  narrowFloats: i32;
  /** Quantised activations of the pass (see activations.ts). */
  activations: usize;
  /** Attention's scratch: quantised queries; f32 scores and byte weights [positions / PAGE][heads][PAGE]. */
  queries: usize;
  scores: usize;
  weights: usize;
  /** One head's key or value as bytes. */
  headBytes: usize;
  /** f32[head rows, padded]. */
  logits: usize;
  choice: Choice;

  @inline
  layer(index: i32): Layer {
    return changetype<Layer>(this.firstLayer + <usize>index * offsetof<Layer>());
  }
  @inline
  wideRow(token: i32): usize {
    return this.wide + ((<usize>token * this.wideFloats) << 2);
  }
  @inline
  narrowRow(token: i32): usize {
    return this.narrow + ((<usize>token * this.narrowFloats) << 2);
  }
  @inline
  residualRow(token: i32): usize {
    return this.residual + ((<usize>token * this.hidden) << 2);
  }
}

/** What drawing a token gives (see head.ts). */
@unmanaged
export class Choice {
  id: i32;
  runnerUpId: i32;
  probability: f32;
  runnerUpProbability: f32;
}

/** Hands out consecutive blocks of memory, each at a multiple of 64. */
@unmanaged
class Cursor {
  at: usize;
  take(bytes: usize): usize {
    const from = this.at;
    this.at = align(from + bytes);
    return from;
  }
}
const cursor = changetype<Cursor>(memory.data(offsetof<Cursor>()));

@inline
export function align(at: usize): usize {
  return (at + 63) & ~63;
}

export function descriptionSize(layers: i32): usize {
  const matrices = <usize>(2 + 4 * layers) * align(offsetof<Matrix>());
  return align(offsetof<Model>()) + align(offsetof<Choice>()) + align(<usize>layers * offsetof<Layer>()) + matrices;
}

/** Lays a description out at `at`; shape fields and matrices are filled in afterwards. */
export function placeDescription(at: usize, layers: i32): void {
  cursor.at = at;
  const model = changetype<Model>(cursor.take(offsetof<Model>()));
  model.layers = layers;
  model.embedding = takeMatrix();
  model.head = takeMatrix();
  model.choice = changetype<Choice>(cursor.take(offsetof<Choice>()));
  model.firstLayer = cursor.take(<usize>layers * offsetof<Layer>());
  for (let l = 0; l < layers; l++) {
    const layer = model.layer(l);
    layer.qkv = takeMatrix();
    layer.output = takeMatrix();
    layer.gateUp = takeMatrix();
    layer.down = takeMatrix();
  }
}

/** Lays scratch space out from `at` for a described model. Returns the end. */
export function placeScratch(model: Model, at: usize, activationBytesPerToken: usize, queriesBytes: usize): usize {
  const attended = model.heads * model.headDim;
  const projected = (model.heads + 2 * model.kvHeads) * model.headDim;
  model.wideFloats = max(projected, 2 * model.ffn);
  model.narrowFloats = max(model.hidden, attended);
  cursor.at = at;
  model.tokens = cursor.take(<usize>BLOCK << 2);
  model.pages = cursor.take(<usize>(model.positions / PAGE) << 2);
  model.residual = cursor.take((<usize>BLOCK * model.hidden) << 2);
  model.wide = cursor.take((<usize>BLOCK * model.wideFloats) << 2);
  model.narrow = cursor.take((<usize>BLOCK * model.narrowFloats) << 2);
  model.activations = cursor.take(<usize>BLOCK * activationBytesPerToken);
  model.queries = cursor.take(queriesBytes);
  model.scores = cursor.take(<usize>(model.heads * model.positions) << 2);
  model.weights = cursor.take(<usize>(model.heads * model.positions));
  model.headBytes = cursor.take(<usize>model.headDim);
  model.logits = cursor.take(<usize>model.head.paddedRows << 2);
  return cursor.at;
}

function takeMatrix(): Matrix {
  return changetype<Matrix>(cursor.take(offsetof<Matrix>()));
}
