/** What the scheduler asks of a target model: run rows, read logits, lower a cache's length. */

/** Keys and values of one sequence. Rolling back is lowering the length; what lies beyond it is garbage. */
export interface Cache {
  readonly length: number;
  truncate(length: number): void;
  /** Gives it back; with an owner, what it holds of the owner's ids may be reused by the same tenant. */
  release(owner?: Owner): void;
}

/** Whose text a cache holds, or is to hold. */
export type Owner = { tenant: string; ids: readonly number[] };

/** Rows of one sequence in a step: `ids` stand at positions cache.length, cache.length + 1, … */
export type SlotRows = {
  cache: Cache;
  ids: readonly number[];
  /** Logits are wanted from this row on; ids.length for none. */
  firstLogitRow: number;
};

export interface StepLogits {
  /** f32[vocabulary] after row `row` of slot `slot`. Valid until the next step; the caller may write into it. */
  row(slot: number, row: number): Float32Array;
}

export interface TargetModel {
  readonly vocabSize: number;
  readonly context: number;
  readonly numerics: string;
  /** Most sequences in one step. */
  readonly maxSlots: number;
  /**
   * An empty cache, or with an owner one that may hold a prefix of its ids already (never all of them).
   * `room`: the length that it may reach; beyond it, it has to grow, which takes time.
   */
  openCache(owner?: Owner, room?: number): Cache;
  /** Runs every slot's rows (at least one each) and appends them to its cache. */
  run(slots: readonly SlotRows[]): Promise<StepLogits>;
}
