/**
 * A target whose logits are a hash of every id before: any slip in text, cache or position changes the output.
 * Its caches hold the ids themselves, so a stale cache is as fatal as it would be in a real model.
 */

import { mix32 } from "../../gpu-service/protocol/noise.ts";
import { chooseToken, penalise } from "../../gpu-service/protocol/sampling.ts";
import type { StartFrame } from "../../gpu-service/verify/engines/engine.ts";
import type {
  Cache,
  Owner,
  SlotRows,
  StepLogits,
  TargetModel,
} from "../../gpu-service/verify/scheduler/model.ts";
import { RetainedPrefixes } from "../../gpu-service/verify/scheduler/retained.ts";

export const VOCABULARY = 12;

export function logitsAfter(ids: readonly number[]): Float32Array {
  const key = ids.reduce((hash, id) => mix32(hash ^ Math.imul(id + 1, 0x9e3779b1)), 7);
  return Float32Array.from(
    { length: VOCABULARY },
    (_, id) => (mix32(key ^ Math.imul(id + 1, 77)) % 4096) / 512,
  );
}

/** The obvious decoder that the scheduler must agree with, whatever is hinted: output ids. */
export function reference(start: StartFrame, context: number): number[] {
  const text = [...start.prompt];
  const counts = new Map<number, number>();
  while (text.length - start.prompt.length < start.max_tokens && text.length < context) {
    const logits = logitsAfter(text);
    penalise(logits, start.sampling, counts);
    const id = chooseToken(logits, start.sampling, BigInt(start.sampling.seed), text.length);
    text.push(id);
    counts.set(id, (counts.get(id) ?? 0) + 1);
    if (start.stop_ids.includes(id)) break;
  }
  return text.slice(start.prompt.length);
}

class FakeCache implements Cache {
  ids: number[];
  open = true;
  readonly #onRelease: (ids: number[], owner?: Owner) => void;
  constructor(ids: number[], onRelease: (ids: number[], owner?: Owner) => void) {
    this.ids = ids;
    this.#onRelease = onRelease;
  }
  get length(): number {
    return this.ids.length;
  }
  truncate(length: number): void {
    if (length > this.ids.length) throw new Error("truncate may only shorten");
    this.ids.length = length;
  }
  release(owner?: Owner): void {
    if (!this.open) throw new Error("released twice");
    this.open = false;
    this.#onRelease(this.ids, owner);
  }
}

export class FakeTarget implements TargetModel {
  readonly vocabSize = VOCABULARY;
  readonly numerics = "fake";
  readonly context: number;
  readonly maxSlots: number;
  /** Slots' row counts of each step. */
  readonly steps: number[][] = [];
  openCaches = 0;
  /** Milliseconds by `stepMs`, all steps together: the clock of a scheduler under test. */
  elapsedMs = 0;
  /** A value is what the cache really held, whatever its owner says that it holds. */
  readonly #retained = new RetainedPrefixes<number[]>(300, 2);
  readonly #stepMs: (slots: number, rows: number) => number;

  constructor(context: number, maxSlots: number, stepMs: (slots: number, rows: number) => number = () => 10) {
    this.context = context;
    this.maxSlots = maxSlots;
    this.#stepMs = stepMs;
  }

  openCache(owner?: Owner): Cache {
    this.openCaches++;
    const match = owner && this.#retained.find(owner.tenant, owner.ids);
    const ids = match ? match.entry.value.slice(0, match.length) : [];
    return new FakeCache(ids, (held, from) => {
      this.openCaches--;
      if (from)
        this.#retained.keep({
          ...from,
          ids: from.ids.slice(0, held.length),
          value: [...held],
          bytes: held.length,
        });
    });
  }

  async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    const rows = slots.map((s) => s.ids.length);
    this.steps.push(rows);
    this.elapsedMs += this.#stepMs(
      slots.length,
      rows.reduce((a, b) => a + b),
    );
    const logits = slots.map(({ cache, ids, firstLogitRow }) => {
      const fake = cache as FakeCache;
      if (!fake.open || ids.length === 0) throw new Error("bad slot");
      return ids.map((id, row) => {
        fake.ids.push(id);
        if (fake.ids.length > this.context) throw new Error("beyond the context");
        return row >= firstLogitRow ? logitsAfter(fake.ids) : undefined;
      });
    });
    return {
      row(slot, row) {
        const found = logits[slot]?.[row];
        if (!found) throw new Error(`no logits were asked for slot ${slot} row ${row}`);
        return found;
      },
    };
  }
}
