/**
 * The kernel's arithmetic written out plainly: one token at a time, one number at a time. Slow, obvious, and equal to
 * the kernel bit for bit, because integer sums are exact and every f32 operation is rounded where the kernel rounds.
 * Tests compare the kernel with it; nothing else uses it.
 */
import type { ImageHeader } from "./header.ts";
import { parseImage } from "./image.ts";
import { f32, Matrix, type Quantised, quantise, referenceExp, sumOfLanes } from "./reference-numbers.ts";
import { ropeTable } from "./rope.ts";
import { hasHeadTensor } from "./shape.ts";

const PAGE = 32;

type CachedHead = { key: Quantised; value: Quantised };

export class Reference {
  readonly header: ImageHeader;
  readonly #image: Uint8Array;
  readonly #rope: Float32Array;
  readonly #matrices = new Map<string, Matrix>();
  /** [layer][position][KV head]. */
  readonly #cache: CachedHead[][][];

  /** `image`: a whole image file. */
  constructor(image: Uint8Array) {
    const parsed = parseImage(image);
    if (!parsed.ok) throw new Error(parsed.error.message);
    this.header = parsed.header;
    this.#image = image;
    const { shape, rope } = parsed.header;
    this.#rope = ropeTable(rope, shape.head_dim, shape.context);
    this.#cache = Array.from({ length: shape.layers }, () => []);
  }

  /** Takes `id` at `position`, everything before it being in the cache; returns the logits, one per head row. */
  step(id: number, position: number): Float32Array {
    const { shape, head } = this.header;
    let x = this.#matrix("embedding").row(id);
    for (let l = 0; l < shape.layers; l++) {
      x = add(x, this.#matrix(`layers.${l}.output`).multiply(this.#attention(l, x, position)));
      x = add(x, this.#matrix(`layers.${l}.down`).multiply(this.#gated(l, x)));
    }
    const last = this.#matrix(hasHeadTensor(head) ? "head" : "embedding");
    return last.multiply(this.#normalise(x, "norm"));
  }

  #attention(l: number, x: Float32Array, position: number): Float32Array {
    const { heads, kv_heads, head_dim } = this.header.shape;
    const qkv = this.#matrix(`layers.${l}.qkv`).multiply(this.#normalise(x, `layers.${l}.attention_norm`));
    const headOf = (index: number) => qkv.subarray(index * head_dim, (index + 1) * head_dim);
    for (let h = 0; h < heads + kv_heads; h++) this.#rotate(headOf(h), position);
    const cache = this.#cache[l]!;
    cache.length = position;
    cache.push(
      Array.from({ length: kv_heads }, (_, h) => ({
        key: quantise(headOf(heads + h), 63),
        value: quantise(headOf(heads + kv_heads + h), 127),
      })),
    );
    const out = new Float32Array(heads * head_dim);
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor(h / (heads / kv_heads));
      out.set(
        attend(
          headOf(h),
          cache.map((perHead) => perHead[kvHead]!),
        ),
        h * head_dim,
      );
    }
    return out;
  }

  #gated(l: number, x: Float32Array): Float32Array {
    const { ffn } = this.header.shape;
    const gateUp = this.#matrix(`layers.${l}.gate_up`).multiply(this.#normalise(x, `layers.${l}.mlp_norm`));
    return Float32Array.from({ length: ffn }, (_, i) => {
      const z = gateUp[i]!;
      return f32(gateUp[ffn + i]! * f32(z / f32(1 + referenceExp(-z))));
    });
  }

  #normalise(x: Float32Array, name: string): Float32Array {
    const tensor = this.header.tensors.get(name)!;
    const gain = new Float32Array(this.#image.buffer, this.#image.byteOffset + tensor.offset, x.length);
    const squares = sumOfLanes(x.map((v) => v * v));
    const factor = f32(1 / f32(Math.sqrt(f32(f32(squares / x.length) + f32(this.header.normEps)))));
    return x.map((v, i) => f32(v * factor) * gain[i]!);
  }

  #rotate(head: Float32Array, position: number): void {
    const { head_dim, context } = this.header.shape;
    const half = head_dim / 2;
    for (let i = 0; i < half; i++) {
      const cosine = this.#rope[position * half + i]!;
      const sine = this.#rope[(context + position) * half + i]!;
      const [a, b] = [head[i]!, head[half + i]!];
      head[i] = f32(a * cosine) - f32(b * sine);
      head[half + i] = f32(b * cosine) + f32(a * sine);
    }
  }

  #matrix(name: string): Matrix {
    const matrix = this.#matrices.get(name) ?? new Matrix(this.#image, this.header, name);
    this.#matrices.set(name, matrix);
    return matrix;
  }
}

const add = (x: Float32Array, y: Float32Array): Float32Array => x.map((v, i) => v + y[i]!);

/** Attention of one query head: softmax weights times value scales, as bytes with one scale per page. */
function attend(query: Float32Array, cache: readonly CachedHead[]): Float32Array {
  const q = quantise(query, 127);
  const scale = f32(q.scale / f32(Math.sqrt(query.length)));
  const scores = cache.map(({ key }) => {
    let sum = 0;
    for (let d = 0; d < query.length; d++) sum += q.quants[d]! * key.quants[d]!;
    return f32(sum * f32(key.scale * scale));
  });
  const largest = Math.max(...scores);
  const exponentials = scores.map((score) => referenceExp(f32(score - largest)));
  // Lanes are summed within a page first.
  const totals = [0, 0, 0, 0];
  for (let page = 0; page < scores.length; page += PAGE) {
    const lanes = [0, 0, 0, 0];
    sumOfLanes(exponentials.slice(page, page + PAGE), lanes);
    for (let i = 0; i < 4; i++) totals[i] = f32(totals[i]! + lanes[i]!);
  }
  const share = f32(1 / sumOfLanes([], totals));
  const out = new Float32Array(query.length);
  for (let page = 0; page < scores.length; page += PAGE) {
    const inPage = exponentials.slice(page, page + PAGE);
    const weights = quantise(
      inPage.map((e, i) => f32(e * cache[page + i]!.value.scale)),
      127,
    );
    for (let d = 0; d < out.length; d++) {
      let sum = 0;
      for (let i = 0; i < inPage.length; i++) sum += weights.quants[i]! * cache[page + i]!.value.quants[d]!;
      out[d] = out[d]! + f32(sum * f32(weights.scale * share));
    }
  }
  return out;
}
