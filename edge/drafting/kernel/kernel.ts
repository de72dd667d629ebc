/**
 * The draft model's forward pass, as the host calls it (edge/drafting/model/).
 *
 * The host lays memory out, describes a model once, and then drives passes: write ids and page addresses, embed(),
 * layer() for each layer, and for the last token logits() and draw(). A pass may be left and taken up again between
 * two calls, which is how the host yields to other work; only one pass per model is under way at a time.
 */
import { activationBytes } from "./activations";
import { queriesBytes } from "./attention";
import { pageBytes } from "./cache";
import { embed as embedRow } from "./embedding";
import { computeLogits, draw as drawToken } from "./head";
import { runLastLayer, runLayer } from "./layer";
import { align, BLOCK, descriptionSize, Model, PAGE, placeDescription, placeScratch } from "./model";
import { gumbel, setPosition } from "./noise";

export function heapStart(): usize {
  return align(__heap_base);
}
export function blockTokens(): i32 {
  return BLOCK;
}
export function pagePositions(): i32 {
  return PAGE;
}

/** Bytes of a description. */
export function descriptionBytes(layers: i32): usize {
  return descriptionSize(layers);
}

/** Places an empty description at `at`, to be filled in by the three functions below. */
export function place(at: usize, layers: i32): void {
  placeDescription(at, layers);
}

export function describeShape(
  model: Model,
  hidden: i32,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  ffn: i32,
  normEps: f32,
  positions: i32,
): void {
  model.hidden = hidden;
  model.heads = heads;
  model.kvHeads = kvHeads;
  model.headDim = headDim;
  model.ffn = ffn;
  model.normEps = normEps;
  model.positions = positions;
}

export function describeEnds(
  model: Model,
  embedding: usize,
  embeddingBits: i32,
  vocabulary: i32,
  finalNorm: usize,
  head: usize,
  headBits: i32,
  headRows: i32,
  headIds: usize,
  rope: usize,
): void {
  model.embedding.set(embedding, vocabulary, model.hidden, embeddingBits);
  model.finalNorm = finalNorm;
  model.head.set(head, headRows, model.hidden, headBits);
  model.headIds = headIds;
  model.rope = rope;
}

export function describeLayer(
  model: Model,
  index: i32,
  attentionNorm: usize,
  qkv: usize,
  qkvBits: i32,
  output: usize,
  outputBits: i32,
  mlpNorm: usize,
  gateUp: usize,
  gateUpBits: i32,
  down: usize,
  downBits: i32,
): void {
  const layer = model.layer(index);
  const attended = model.heads * model.headDim;
  layer.attentionNorm = attentionNorm;
  layer.qkv.set(qkv, attended + 2 * model.kvHeads * model.headDim, model.hidden, qkvBits);
  layer.output.set(output, model.hidden, attended, outputBits);
  layer.mlpNorm = mlpNorm;
  layer.gateUp.set(gateUp, 2 * model.ffn, model.hidden, gateUpBits);
  layer.down.set(down, model.hidden, model.ffn, downBits);
}

/** Places the scratch space of a described model at `at`. Returns where it ends: its size if `at` is 0. */
export function placeScratchOf(model: Model, at: usize): usize {
  const widest = max(max(model.hidden, model.ffn), model.heads * model.headDim);
  return placeScratch(model, at, align(activationBytes(widest)), queriesBytes(model.heads, model.headDim));
}

export function pageBytesOf(model: Model): usize {
  return align(pageBytes(model));
}
export function tokensOf(model: Model): usize {
  return model.tokens;
}
export function pagesOf(model: Model): usize {
  return model.pages;
}
export function logitsOf(model: Model): usize {
  return model.logits;
}
export function choiceOf(model: Model): usize {
  return changetype<usize>(model.choice);
}

/** Begins a pass: the embeddings of its `count` tokens become the residual stream. */
export function embed(model: Model, count: i32): void {
  for (let t = 0; t < count; t++) {
    embedRow(model.embedding, load<i32>(model.tokens + ((<usize>t) << 2)), model.residualRow(t));
  }
}

/** One transformer layer for the pass's `count` tokens, the first of which stands at model position `position`. */
export function layer(model: Model, index: i32, count: i32, position: i32): void {
  runLayer(model, index, count, position);
}

/** The last layer (see layer.ts). `draws`: whether something is drawn after the pass's last token. */
export function lastLayer(model: Model, count: i32, position: i32, draws: bool): void {
  runLastLayer(model, count, position, draws);
}

/** Logits after token number `token` of the pass. */
export function logits(model: Model, token: i32): void {
  computeLogits(model, token);
}

/** Draws from the logits for the token at absolute `position` (see head.ts); the result is at choiceOf(model). */
export function draw(model: Model, temperature: f64, seedLow: u32, seedHigh: u32, position: u32): void {
  drawToken(model, temperature, seedLow, seedHigh, position);
}

/** The noise of one token, for tests of the contract. */
export function noise(seedLow: u32, seedHigh: u32, position: u32, token: u32): f64 {
  setPosition(seedLow, seedHigh, position);
  return gumbel(token);
}
