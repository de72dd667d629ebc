/**
 * Keys and values of one sequence: per layer two token-major arrays f32[capacity][kv heads × head size].
 *
 * The graph reads a prefix of each without a copy, and returns only new rows, which are written behind it.
 * Arrays double when full and go back to a pool with the sequence: memory touched once is quicker again.
 */
import type { Cache } from "../../scheduler/model.ts";

const FIRST_CAPACITY = 256;

type Arrays = { capacity: number; keys: Float32Array[]; values: Float32Array[] };

export class KvPool {
  readonly #free: Arrays[] = [];
  readonly layers: number;
  /** Floats of one token in one layer. */
  readonly width: number;
  readonly #keep: number;

  /** `keep`: how many released caches to hold for reuse. */
  constructor(layers: number, width: number, keep: number) {
    this.layers = layers;
    this.width = width;
    this.#keep = keep;
  }

  take(): Arrays {
    return this.#free.pop() ?? this.allocate(FIRST_CAPACITY);
  }

  give(arrays: Arrays): void {
    if (this.#free.length < this.#keep) this.#free.push(arrays);
  }

  allocate(capacity: number): Arrays {
    const make = () => Array.from({ length: this.layers }, () => new Float32Array(capacity * this.width));
    return { capacity, keys: make(), values: make() };
  }
}

export class KvCache implements Cache {
  readonly #pool: KvPool;
  #arrays: Arrays | undefined;
  #length = 0;

  constructor(pool: KvPool) {
    this.#pool = pool;
    this.#arrays = pool.take();
  }

  get length(): number {
    return this.#length;
  }

  truncate(length: number): void {
    if (length < 0 || length > this.#length)
      throw new Error(`cache of ${this.#length} cannot become ${length} long`);
    this.#length = length;
  }

  release(): void {
    if (!this.#arrays) throw new Error("cache released twice");
    this.#pool.give(this.#arrays);
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
    const { keys, values } = this.#open();
    const { width, layers } = this.#pool;
    const at = this.#length * width;
    for (let layer = 0; layer < layers; layer++) {
      const start = (layer * allRows + from) * width;
      keys[layer]!.set(newKeys.subarray(start, start + rows * width), at);
      values[layer]!.set(newValues.subarray(start, start + rows * width), at);
    }
    this.#length += rows;
  }

  #reserve(length: number): void {
    const old = this.#open();
    if (length <= old.capacity) return;
    let capacity = old.capacity;
    while (capacity < length) capacity *= 2;
    const grown = this.#pool.allocate(capacity);
    const used = this.#length * this.#pool.width;
    old.keys.forEach((array, layer) => {
      grown.keys[layer]!.set(array.subarray(0, used));
    });
    old.values.forEach((array, layer) => {
      grown.values[layer]!.set(array.subarray(0, used));
    });
    this.#arrays = grown;
  }

  #open(): Arrays {
    if (!this.#arrays) throw new Error("cache used after its release");
    return this.#arrays;
  }
}
