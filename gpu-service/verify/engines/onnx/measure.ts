/** Measures what a step costs by width and rows, for the scheduler's cost table. */
import type { CostPoint } from "../../scheduler/cost.ts";
import type { SlotRows, TargetModel } from "../../scheduler/model.ts";

/** Rows per sequence to measure, by width of the graph. */
const ROWS_ALONE = [1, 2, 4, 8, 16, 32];
const ROWS_BESIDE = [1, 2, 4];
/** A usual amount of cached text. */
const PAST = 128;

/** `repeats`: runs of each point; the quickest but one counts, since a busy machine only ever adds time. */
export async function measureCosts(
  model: TargetModel,
  widths: readonly number[],
  repeats: number,
  now: () => number,
): Promise<CostPoint[]> {
  const points: CostPoint[] = [];
  for (const slots of widths) {
    const caches = Array.from({ length: slots }, () => model.openCache());
    const past = Math.min(PAST, model.context - 64);
    const chunk = 64;
    for (let filled = 0; filled < past; filled += chunk) {
      await model.run(caches.map((cache) => rowsOf(cache, Math.min(chunk, past - filled), false)));
    }
    for (const each of slots === 1 ? ROWS_ALONE : ROWS_BESIDE) {
      const times: number[] = [];
      for (let i = 0; i < repeats; i++) {
        const started = now();
        await model.run(caches.map((cache) => rowsOf(cache, each, true)));
        times.push(now() - started);
        for (const cache of caches) cache.truncate(past);
      }
      times.sort((a, b) => a - b);
      points.push({ slots, rows: slots * each, ms: times[Math.min(1, times.length - 1)]! });
    }
    for (const cache of caches) cache.release();
  }
  return points;
}

const rowsOf = (cache: SlotRows["cache"], rows: number, logits: boolean): SlotRows => ({
  cache,
  ids: Array.from({ length: rows }, (_, i) => i + 1),
  firstLogitRow: logits ? 0 : rows,
});
