/** Measures what a step costs by width and rows, for the scheduler's cost table. */
import type { CostPoint } from "../../scheduler/cost.ts";
import type { SlotRows, TargetModel } from "../../scheduler/model.ts";

/** Rows per sequence to measure, by width of the graph. */
const ROWS_ALONE = [1, 2, 4, 8, 16];
const ROWS_BESIDE = [1, 2, 4];
/** A usual amount of cached text. */
const PAST = 128;
const CHUNK = 64;

/**
 * The quickest of `rounds` runs of each point counts: whatever else the machine does only ever adds time. Rounds
 * go over all points in turn, so that a busy second does not fall on one of them alone.
 */
export async function measureCosts(
  model: TargetModel,
  widths: readonly number[],
  rounds: number,
  now: () => number,
): Promise<CostPoint[]> {
  const past = Math.min(PAST, model.context - 64);
  const caches = Array.from({ length: Math.max(...widths) }, () => model.openCache());
  for (const cache of caches) {
    for (let n = 0; n < past; n += CHUNK) await model.run([rowsOf(cache, Math.min(CHUNK, past - n), CHUNK)]);
  }
  const points = widths.flatMap((slots) =>
    (slots === 1 ? ROWS_ALONE : ROWS_BESIDE).map((each) => ({ slots, each, ms: Number.POSITIVE_INFINITY })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const point of points) {
      const used = caches.slice(0, point.slots);
      const started = now();
      await model.run(used.map((cache) => rowsOf(cache, point.each, 0)));
      point.ms = Math.min(point.ms, now() - started);
      for (const cache of used) cache.truncate(past);
    }
  }
  for (const cache of caches) cache.release();
  return points.map(({ slots, each, ms }) => ({ slots, rows: slots * each, ms }));
}

const rowsOf = (cache: SlotRows["cache"], rows: number, firstLogitRow: number): SlotRows => ({
  cache,
  ids: Array.from({ length: rows }, (_, i) => i + 1),
  firstLogitRow: Math.min(firstLogitRow, rows),
});
