/**
 * The inputs of one graph, kept and refilled from step to step.
 *
 * Rows of all slots are packed one after the other; each slot brings its cached keys and values as views and a
 * bias f32[1, T × group, S + T] that hides the rows after each row (each query row stands `group` times, in the
 * order in which the graph folds query heads over their key head).
 */
import { Tensor } from "onnxruntime-node";
import type { SlotRows } from "../../scheduler/model.ts";
import type { KvCache } from "./kv-cache.ts";
import type { Shape } from "./target.ts";

const HIDDEN = -1e9;

/** A graph's slots are never empty: one that stands idle gets a row of its own that nothing reads. */
const IDLE_IDS = [0];

export type Packed = {
  feeds: Record<string, Tensor>;
  rows: number;
  /** First row of each slot, then the end. */
  starts: number[];
  /** For each slot: index in the logits of its first row that has any. */
  logitStarts: number[];
};

export class Feeds {
  readonly #slots: number;
  readonly #splits: boolean;
  readonly #shape: Shape;
  readonly #feeds: Record<string, Tensor> = {};
  readonly #keyNames: string[][];
  readonly #valueNames: string[][];
  readonly #bias: Float32Array[];
  readonly #empty = new Float32Array(0);
  #ids = new BigInt64Array(64);
  #positions = new BigInt64Array(64);

  /** `inputs`: names that the graph asks for; a graph of one slot has no use for the split. */
  constructor(slots: number, shape: Shape, inputs: readonly string[]) {
    this.#splits = inputs.includes("row_split");
    this.#slots = slots;
    this.#shape = shape;
    const names = (kind: string) =>
      Array.from({ length: slots }, (_, slot) =>
        Array.from({ length: shape.layers }, (_, layer) => `${kind}_${layer}_${slot}`),
      );
    this.#keyNames = names("pk");
    this.#valueNames = names("pv");
    this.#bias = Array.from({ length: slots }, () => new Float32Array(4096));
  }

  /** Valid until the next call. */
  pack(slots: readonly SlotRows[]): Packed {
    const starts = [0];
    const logitStarts: number[] = [];
    const logitRows: number[] = [];
    for (let i = 0; i < this.#slots; i++) {
      const { ids, firstLogitRow, cache } = slots[i] ?? { ids: IDLE_IDS, firstLogitRow: 1, cache: undefined };
      const start = starts[i]!;
      logitStarts.push(logitRows.length);
      for (let row = firstLogitRow; row < ids.length; row++) logitRows.push(start + row);
      this.#writeRows(start, ids, cache?.length ?? 0);
      this.#writeSlot(i, ids.length, cache as KvCache | undefined);
      starts.push(start + ids.length);
    }
    const rows = starts[this.#slots]!;
    // The head is not run over no rows at all: a chunk that wants no logits still asks for one.
    if (logitRows.length === 0) logitRows.push(0);
    const feeds = this.#feeds;
    feeds.input_ids = new Tensor("int64", this.#ids.subarray(0, rows), [rows]);
    feeds.position_ids = new Tensor("int64", this.#positions.subarray(0, rows), [1, rows]);
    if (this.#splits) feeds.row_split = integers(starts.slice(1).map((end, i) => end - starts[i]!));
    feeds.logit_rows = integers(logitRows);
    return { feeds, rows, starts, logitStarts };
  }

  #writeRows(start: number, ids: readonly number[], position: number): void {
    if (start + ids.length > this.#ids.length) {
      const size = 2 * (start + ids.length);
      const [oldIds, oldPositions] = [this.#ids, this.#positions];
      this.#ids = new BigInt64Array(size);
      this.#positions = new BigInt64Array(size);
      this.#ids.set(oldIds);
      this.#positions.set(oldPositions);
    }
    for (let i = 0; i < ids.length; i++) {
      this.#ids[start + i] = BigInt(ids[i]!);
      this.#positions[start + i] = BigInt(position + i);
    }
  }

  #writeSlot(slot: number, rows: number, cache: KvCache | undefined): void {
    const { layers, kvHeads, headDim, group } = this.#shape;
    const past = cache?.length ?? 0;
    const dims = [past, kvHeads, headDim];
    for (let layer = 0; layer < layers; layer++) {
      const keys = cache ? cache.keys(layer) : this.#empty;
      const values = cache ? cache.values(layer) : this.#empty;
      this.#feeds[this.#keyNames[slot]![layer]!] = new Tensor("float32", keys, dims);
      this.#feeds[this.#valueNames[slot]![layer]!] = new Tensor("float32", values, dims);
    }
    const bias = this.#causal(slot, rows, past, group);
    this.#feeds[`bias_${slot}`] = new Tensor("float32", bias, [1, rows * group, past + rows]);
  }

  /** Row t sees the past and rows 0 … t. */
  #causal(slot: number, rows: number, past: number, group: number): Float32Array {
    const width = past + rows;
    const size = rows * group * width;
    if (this.#bias[slot]!.length < size) this.#bias[slot] = new Float32Array(size * 2);
    const bias = this.#bias[slot]!.subarray(0, size).fill(0);
    for (let t = 0; t < rows - 1; t++) {
      for (let g = 0; g < group; g++) {
        const end = (t * group + g + 1) * width;
        bias.fill(HIDDEN, end - (rows - 1 - t), end);
      }
    }
    return bias;
  }
}

const integers = (values: number[]): Tensor =>
  new Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
