/** A target that knows its text by heart and takes the time of a cost table on a virtual clock. */
import { mix32 } from "../../gpu-service/protocol/noise.ts";
import type { Cache, SlotRows, StepLogits, TargetModel } from "../../gpu-service/verify/scheduler/model.ts";

const VOCABULARY = 64;
const CONTEXT = 4096;

/** The id at `position` of the text that begins with `first`. */
export const scriptedId = (first: number, position: number): number =>
  mix32(first * 7919 + position + 1) % VOCABULARY;
/** Any id but that one. */
export const wrongId = (first: number, position: number): number =>
  (scriptedId(first, position) + 1 + (position % 7)) % VOCABULARY;

class CountingCache implements Cache {
  length = 0;
  first = 0;
  truncate(length: number): void {
    this.length = length;
  }
  release(): void {}
}

export class PacedTarget implements TargetModel {
  readonly vocabSize = VOCABULARY;
  readonly context = CONTEXT;
  readonly numerics = "paced";
  readonly maxSlots: number;
  steps = 0;
  readonly #runFor: (slots: number, rows: number) => void;

  /** `runFor` lets the time of a step pass. */
  constructor(maxSlots: number, runFor: (slots: number, rows: number) => void) {
    this.maxSlots = maxSlots;
    this.#runFor = runFor;
  }

  openCache(): Cache {
    return new CountingCache();
  }

  async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    this.steps++;
    const rows = slots.reduce((sum, { ids }) => sum + ids.length, 0);
    const next = slots.map(({ cache, ids }) => {
      const counting = cache as CountingCache;
      if (counting.length === 0) counting.first = ids[0]!;
      const from = counting.length + 1;
      counting.length += ids.length;
      return { first: counting.first, from };
    });
    this.#runFor(slots.length, rows);
    return {
      row(slot, row) {
        const { first, from } = next[slot]!;
        const logits = new Float32Array(VOCABULARY);
        logits[scriptedId(first, from + row)] = 1;
        return logits;
      },
    };
  }
}
