/** A transformer layer: attention and MLP, each added to the residual stream. */
import { activationBytes, quantise } from "./activations";
import { attend } from "./attention";
import { storeKeysAndValues } from "./cache";
import { gate } from "./mlp";
import { Matrix, Model } from "./model";
import { add, normalise } from "./norm";
import { multiply } from "./products";
import { rotate } from "./rope";

/** One transformer layer for the pass's `count` tokens, the first of which stands at model position `position`. */
export function runLayer(model: Model, index: i32, count: i32, position: i32): void {
  attention(model, index, 0, count, position);
  mlp(model, index, 0, count);
}

/**
 * The last layer: a token that nothing is drawn after only leaves its keys and values there, so most of the layer is
 * done for the pass's last token alone, if `draws`, or for none.
 */
export function runLastLayer(model: Model, count: i32, position: i32, draws: bool): void {
  const index = model.layers - 1;
  const silent = draws ? count - 1 : count;
  keysAndValues(model, index, silent, position);
  attention(model, index, silent, count, position);
  mlp(model, index, silent, count);
}

/** residual += output projection of attention over RMSNorm(residual), for tokens `from` to `to` of the pass. */
function attention(model: Model, index: i32, from: i32, to: i32, position: i32): void {
  const layer = model.layer(index);
  project(model, layer.attentionNorm, layer.qkv, 0, from, to);
  for (let t = from; t < to; t++) {
    rotate(model, model.wideRow(t), model.heads, position + t);
    cacheKeysAndValues(model, index, t, position);
  }
  for (let t = from; t < to; t++) attend(model, index, position + t, model.wideRow(t), model.narrowRow(t));
  projectBack(model, model.narrow, model.narrowFloats, layer.output, from, to);
}

/** The part of attention() that later tokens need, for the pass's first `count` tokens. */
function keysAndValues(model: Model, index: i32, count: i32, position: i32): void {
  const layer = model.layer(index);
  project(model, layer.attentionNorm, layer.qkv, model.heads * model.headDim, 0, count);
  for (let t = 0; t < count; t++) cacheKeysAndValues(model, index, t, position);
}

/** Rotates the keys that lie in token t's wide row after the queries, and stores them and the values behind them. */
function cacheKeysAndValues(model: Model, index: i32, t: i32, position: i32): void {
  const headBytes = <usize>model.headDim << 2;
  const keys = model.wideRow(t) + <usize>model.heads * headBytes;
  rotate(model, keys, model.kvHeads, position + t);
  storeKeysAndValues(model, index, position + t, keys, keys + <usize>model.kvHeads * headBytes);
}

/** residual += down projection of the gated unit over RMSNorm(residual), for tokens `from` to `to`. */
function mlp(model: Model, index: i32, from: i32, to: i32): void {
  const layer = model.layer(index);
  project(model, layer.mlpNorm, layer.gateUp, 0, from, to);
  for (let t = from; t < to; t++) gate(model.wideRow(t), model.wideRow(t) + (<usize>model.ffn << 2), model.ffn);
  projectBack(model, model.wide, model.wideFloats, layer.down, from, to);
}

/** wide = matrix · RMSNorm(residual), the matrix's rows from `firstRow` on, for tokens `from` to `to`. */
function project(model: Model, gain: usize, matrix: Matrix, firstRow: i32, from: i32, to: i32): void {
  const bytes = activationBytes(matrix.columns);
  let record = model.activations;
  for (let t = from; t < to; t++, record += bytes) {
    const normed = model.narrowRow(t);
    normalise(model.residualRow(t), gain, model.hidden, model.normEps, normed);
    quantise(normed, matrix.columns, matrix.zero, record);
  }
  multiply(matrix, firstRow, model.activations, to - from, model.wideRow(from), model.wideFloats);
}

/** residual += matrix · rows of `floats` floats each at `input`, for tokens `from` to `to`. */
function projectBack(model: Model, input: usize, floats: i32, matrix: Matrix, from: i32, to: i32): void {
  const bytes = activationBytes(matrix.columns);
  let record = model.activations;
  for (let t = from; t < to; t++, record += bytes) {
    quantise(input + ((<usize>t * floats) << 2), matrix.columns, matrix.zero, record);
  }
  multiply(matrix, 0, model.activations, to - from, model.narrowRow(from), model.narrowFloats);
  for (let t = from; t < to; t++) add(model.residualRow(t), model.narrowRow(t), model.hidden);
}
