/**
 * Where caches come from and go to: arrays kept for their prefixes, and blank ones, because memory touched once
 * is quicker again.
 *
 * Arrays are as long as a sequence may become: to copy a long one would hold everybody up. They are views of one
 * block, which comes from the system as addresses only and becomes zeroed memory where it is written. The block is
 * of the shared kind because V8 does not count that towards its own heap: a plain one of 100 MB makes it collect
 * garbage at once, and every sequence's next token waits 10 to 30 ms for that.
 */
import type { Owner } from "../../scheduler/model.ts";
import { RetainedPrefixes } from "../../scheduler/retained.ts";
import { type Arrays, KvCache } from "./kv-cache.ts";

const FIRST_CAPACITY = 256;
/** Below this many ids a copy is not worth it. */
const LEAST_REUSED_IDS = 8;
const BYTES_PER_FLOAT = 4;

export class KvPool {
  readonly layers: number;
  /** Floats of one token in one layer. */
  readonly width: number;
  readonly #blank: Arrays[] = [];
  readonly #mostBlank: number;
  readonly #retained: RetainedPrefixes<Arrays>;

  /** `mostBlank`: arrays without contents to hold for reuse; `retainedBytes`: budget for those with. */
  constructor(layers: number, width: number, mostBlank: number, retainedBytes: number) {
    this.layers = layers;
    this.width = width;
    this.#mostBlank = mostBlank;
    this.#retained = new RetainedPrefixes(retainedBytes, LEAST_REUSED_IDS);
  }

  /** A cache for the owner's ids: it may hold a prefix of them already. Up to `room` tokens it does not grow. */
  open(owner?: Owner, room = FIRST_CAPACITY): KvCache {
    const match = owner && this.#retained.find(owner.tenant, owner.ids);
    if (!match) return new KvCache(this, this.#take(room), 0);
    const { entry, length } = match;
    // All of it fits: it is taken over. Otherwise others may still want the rest, so the prefix is copied.
    if (length < entry.ids.length || entry.value.capacity < room)
      return new KvCache(this, this.copy(entry.value, length, Math.max(room, length + 1)), length);
    this.#retained.take(entry);
    return new KvCache(this, entry.value, length);
  }

  /** Takes arrays back. With an owner their first `length` tokens are those of its ids, and are kept for its tenant. */
  give(arrays: Arrays, length: number, owner?: Owner): void {
    const keeps = owner !== undefined && length >= LEAST_REUSED_IDS;
    const bytes = arrays.touched * this.width * this.layers * 2 * BYTES_PER_FLOAT;
    const gone = keeps
      ? this.#retained.keep({ tenant: owner.tenant, ids: owner.ids.slice(0, length), value: arrays, bytes })
      : [arrays];
    this.#blank.push(...gone);
    this.#blank.sort((a, b) => b.capacity - a.capacity);
    this.#blank.splice(this.#mostBlank);
  }

  /** Arrays with the first `length` tokens of `from`, and room for `capacity` at least. */
  copy(from: Arrays, length: number, capacity: number): Arrays {
    const to = this.#take(capacity);
    const used = length * this.width;
    for (let layer = 0; layer < this.layers; layer++) {
      to.keys[layer]!.set(from.keys[layer]!.subarray(0, used));
      to.values[layer]!.set(from.values[layer]!.subarray(0, used));
    }
    to.touched = Math.max(to.touched, length);
    return to;
  }

  /** The shortest blank arrays that do, or new ones. */
  #take(capacity: number): Arrays {
    const at = this.#blank.findLastIndex((blank) => blank.capacity >= capacity);
    return at < 0 ? this.#allocate(capacity) : this.#blank.splice(at, 1)[0]!;
  }

  /** Capacities are powers of two, so that arrays fit more than one sequence. */
  #allocate(least: number): Arrays {
    const capacity = Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(least)));
    const size = capacity * this.width;
    const block = new Float32Array(new SharedArrayBuffer(2 * this.layers * size * BYTES_PER_FLOAT));
    const views = (first: number) =>
      Array.from({ length: this.layers }, (_, layer) =>
        block.subarray((first + layer) * size, (first + layer + 1) * size),
      );
    return { capacity, touched: 0, keys: views(0), values: views(this.layers) };
  }
}
