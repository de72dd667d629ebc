/**
 * A paced engine, for benchmarks and tests only: real tokens at the speed of a machine that is not here.
 *
 * A CPU is bound by arithmetic where a GPU is bound by memory, so what a further row costs differs by an order of
 * magnitude. A pace is a cost table of such a machine; every step runs for real and then lasts as long as the table
 * says. Whatever is measured so is emulated, and its label says so.
 */
import { z } from "zod";
import { type CostPoint, CostTable } from "../scheduler/cost.ts";
import type { Cache, Owner, SlotRows, StepLogits, TargetModel } from "../scheduler/model.ts";

export type Pace = {
  /** Names the emulated machine in logs and metrics. */
  label: string;
  /** Milliseconds of a step; a point's `slots` is the number of sequences up to which it holds. */
  points: readonly CostPoint[];
};

const paceSchema = z.strictObject({
  label: z.string().min(1).max(200),
  /** All times are multiplied by it, so that a slow machine can keep a fast one's proportions. */
  dilation: z.number().min(0.01).max(1000).default(1),
  points: z
    .array(
      z.strictObject({
        slots: z.int().min(1).max(1024).default(1),
        rows: z.int().min(1).max(65_536),
        ms: z.number().positive().max(60_000),
      }),
    )
    .min(1)
    .max(1000)
    .superRefine((points, context) => {
      const seen = new Set<string>();
      points.forEach(({ slots, rows }, i) => {
        const shape = `${slots} slots, ${rows} rows`;
        if (seen.has(shape))
          context.addIssue({ code: "custom", path: [i], message: `names ${shape} a second time` });
        seen.add(shape);
      });
    }),
});

/** Parses a pace file's text; throws an error that names every field that is wrong. */
export function parsePace(text: string): Pace {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("is not JSON");
  }
  const result = paceSchema.safeParse(json);
  if (!result.success)
    throw new Error(result.error.issues.map((i) => `${i.path.join(".") || "file"}: ${i.message}`).join("; "));
  const { label, dilation, points } = result.data;
  return { label, points: points.map((point) => ({ ...point, ms: point.ms * dilation })) };
}

export type Waiting = {
  /** Milliseconds, monotonic. */
  now: () => number;
  /** Blocks the thread, as a step does, until `now` is at least `time`. */
  waitUntil: (time: number) => void;
};

export class PacedTarget implements TargetModel {
  readonly #model: TargetModel;
  readonly #table: CostTable;
  readonly #waiting: Waiting;
  /** By how many milliseconds the last step was longer than its pace: 0 unless this machine is too slow for it. */
  overrunMs = 0;

  constructor(model: TargetModel, pace: Pace, waiting: Waiting) {
    this.#model = model;
    this.#table = new CostTable(pace.points);
    this.#waiting = waiting;
  }

  get vocabSize(): number {
    return this.#model.vocabSize;
  }
  get context(): number {
    return this.#model.context;
  }
  get numerics(): string {
    return this.#model.numerics;
  }
  get maxSlots(): number {
    return this.#model.maxSlots;
  }

  openCache(owner?: Owner, room?: number): Cache {
    return this.#model.openCache(owner, room);
  }

  async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    const { now, waitUntil } = this.#waiting;
    const rows = slots.reduce((sum, { ids }) => sum + ids.length, 0);
    const end = now() + this.#table.ms(slots.length, rows);
    const logits = await this.#model.run(slots);
    this.overrunMs = Math.max(0, now() - end);
    waitUntil(end);
    return logits;
  }
}

/** A timed wait may end late by this much, so the rest is spun away. */
const SPIN_MS = 0.3;

/** Waits on the calling thread: precise to some microseconds, deaf to everything else. */
export function blockingWait(now: () => number): Waiting {
  const never = new Int32Array(new SharedArrayBuffer(4));
  return {
    now,
    waitUntil(time) {
      const ms = time - now() - SPIN_MS;
      if (ms > 0) Atomics.wait(never, 0, 0, ms);
      while (now() < time);
    },
  };
}
