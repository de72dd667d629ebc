/**
 * One pass of the model: up to a block of consecutive tokens of one sequence through every layer, and a draw after the
 * last one if asked for. It advances step by step (embedding and a layer, a layer, the head), so that work can yield
 * between steps; the kernel's scratch space belongs to it from its first step to its last.
 */
import type { Described } from "./describe.ts";
import { attentionMacs, headMacs, lastLayerMacs, layerMacs } from "./shape.ts";

export type DraftSettings = {
  /** 0: argmax. */
  readonly temperature: number;
  /** An unsigned 64-bit integer; any value at temperature 0. */
  readonly seed: bigint;
};
/** `probability`: under the draft's softmax at the request's temperature (at temperature 1 if that is 0). */
export type DraftToken = {
  readonly id: number;
  readonly probability: number;
  /** Second in the same order that chose the token. */
  readonly runnerUp: { readonly id: number; readonly probability: number };
};
/** What to draw after the last token: `position` is the drawn token's absolute position. */
export type Draw = DraftSettings & { readonly position: number };

/** The pass under way, if a slice ended inside one. Whoever works next moves it on, whosever it is. */
export type UnderWay = { current: Pass | undefined };

export class Pass {
  readonly #model: Described;
  readonly #ids: readonly number[];
  readonly #from: number;
  readonly #pages: readonly number[];
  readonly #draw: Draw | undefined;
  #layer = 0;
  done = false;
  drawn: DraftToken | undefined;

  /** `ids` stand at model positions from `from` on; `pages` are the sequence's, in order, enough for them. */
  constructor(
    model: Described,
    ids: readonly number[],
    from: number,
    pages: readonly number[],
    draw: Draw | undefined,
  ) {
    this.#model = model;
    this.#ids = ids;
    this.#from = from;
    this.#pages = pages;
    this.#draw = draw;
  }

  get count(): number {
    return this.#ids.length;
  }
  /** Model position after the pass's last token. */
  get end(): number {
    return this.#from + this.#ids.length;
  }

  /** Does one step; returns the multiply-adds that it took. */
  step(): number {
    const { kernel, model, header } = this.#model;
    const { shape } = header;
    if (this.#layer === shape.layers) return this.#finish();
    if (this.#layer === 0) this.#begin();
    if (++this.#layer < shape.layers) {
      kernel.layer(model, this.#layer - 1, this.count, this.#from);
      return this.count * this.#macsPerToken();
    }
    kernel.lastLayer(model, this.count, this.#from, this.#draw !== undefined);
    this.done = this.#draw === undefined;
    return this.count * lastLayerMacs(shape) + (this.#draw ? this.#macsPerToken() : 0);
  }

  #macsPerToken(): number {
    const { shape } = this.#model.header;
    return layerMacs(shape) + attentionMacs(shape, this.#from + this.count);
  }

  #begin(): void {
    const { kernel, model } = this.#model;
    const { buffer } = kernel.memory;
    new Uint32Array(buffer, kernel.tokensOf(model), this.#ids.length).set(this.#ids);
    new Uint32Array(buffer, kernel.pagesOf(model), this.#pages.length).set(this.#pages);
    kernel.embed(model, this.#ids.length);
  }

  #finish(): number {
    const { kernel, model, header } = this.#model;
    const { temperature, seed, position } = this.#draw!;
    kernel.logits(model, this.#ids.length - 1);
    kernel.draw(
      model,
      temperature,
      Number(seed & 0xffff_ffffn),
      Number((seed >> 32n) & 0xffff_ffffn),
      position,
    );
    const at = kernel.choiceOf(model);
    const [id, runnerUpId] = new Int32Array(kernel.memory.buffer, at, 2);
    const [probability, runnerUpProbability] = new Float32Array(kernel.memory.buffer, at + 8, 2);
    this.drawn = {
      id: id!,
      probability: probability!,
      runnerUp: { id: runnerUpId!, probability: runnerUpProbability! },
    };
    this.done = true;
    return headMacs(header.shape, header.head);
  }
}
