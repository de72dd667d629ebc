/**
 * Keys and values of one sequence: per layer two token-major arrays f32[capacity][kv heads × head size].
 *
 * The graph reads a prefix of each without a copy, and returns only new rows, which are written behind it.
 * Arrays that are full after all are replaced by longer ones.
 */
import type { Cache, Owner } from "../../scheduler/model.ts";

export type Arrays = {
  capacity: number;
  /** Tokens up to which something was ever written: so much of it is real memory. */
  touched: number;
  keys: Float32Array[];
  values: Float32Array[];
};
/** Where a cache's arrays come from and go to; `KvPool` says what each means. */
export type Source = {
  readonly layers: number;
  readonly width: number;
  copy(from: Arrays, length: number, capacity: number): Arrays;
  give(arrays: Arrays, length: number, owner?: Owner): void;
};

export class KvCache implements Cache {
  readonly #pool: Source;
  #arrays: Arrays | undefined;
  #length: number;

  /** The first `length` tokens of `arrays` count. */
  constructor(pool: Source, arrays: Arrays, length: number) {
    this.#pool = pool;
    this.#arrays = arrays;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  truncate(length: number): void {
    if (length < 0 || length > this.#length)
      throw new Error(`cache of ${this.#length} cannot become ${length} long`);
    this.#length = length;
  }

  release(owner?: Owner): void {
    if (!this.#arrays) throw new Error("cache released twice");
    this.#pool.give(this.#arrays, this.#length, owner);
    this.#arrays = undefined;
    this.#length = 0;
  }

  /** f32[length × width] views of a layer, valid until the next append. */
  keys(layer: number): Float32Array {
    return this.#open().keys[layer]!.subarray(0, this.#length * this.#pool.width);
  }
  values(layer: number): Float32Array {
    return this.#open().values[layer]!.subarray(0, this.#length * this.#pool.width);
  }

  /** Appends `rows` tokens. `newKeys`, `newValues`: f32[layers][allRows][width]; this cache's rows begin at `from`. */
  append(newKeys: Float32Array, newValues: Float32Array, allRows: number, from: number, rows: number): void {
    this.#reserve(this.#length + rows);
    const arrays = this.#open();
    const { keys, values } = arrays;
    const { width, layers } = this.#pool;
    const at = this.#length * width;
    for (let layer = 0; layer < layers; layer++) {
      const start = (layer * allRows + from) * width;
      keys[layer]!.set(newKeys.subarray(start, start + rows * width), at);
      values[layer]!.set(newValues.subarray(start, start + rows * width), at);
    }
    this.#length += rows;
    arrays.touched = Math.max(arrays.touched, this.#length);
  }

  #reserve(length: number): void {
    const old = this.#open();
    if (length > old.capacity) this.#arrays = this.#pool.copy(old, this.#length, length);
  }

  #open(): Arrays {
    if (!this.#arrays) throw new Error("cache used after its release");
    return this.#arrays;
  }
}
