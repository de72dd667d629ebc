/** Measures what a step costs by width, rows and cached text, for the scheduler's cost table. */
import type { AttentionCost, CostPoint, Costs } from "../../scheduler/cost.ts";
import type { SlotRows, TargetModel } from "../../scheduler/model.ts";

/** Rows per sequence to measure, by width of the graph. */
const ROWS_ALONE = [1, 2, 4, 8, 16];
const ROWS_BESIDE = [1, 2, 4];
/** A usual amount of cached text, and a long one. */
const NEAR = 128;
const FAR = 512;
/** Rows whose steps are compared over both. */
const FEW = 1;
const MANY = 8;
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
): Promise<Costs> {
  const most = model.context - CHUNK;
  const near = Math.min(NEAR, most);
  const far = Math.min(FAR, most);
  const caches = Array.from({ length: Math.max(...widths) }, () => model.openCache());
  const long = model.openCache();
  for (const cache of caches) await fill(model, cache, near);
  await fill(model, long, far);
  const beside = widths.flatMap((slots) =>
    (slots === 1 ? ROWS_ALONE : ROWS_BESIDE).map((rows) => ({
      caches: caches.slice(0, slots),
      rows,
      ms: 1e9,
    })),
  );
  const distant = [FEW, MANY].map((rows) => ({ caches: [long], rows, ms: 1e9 }));
  for (let round = 0; round < rounds; round++) {
    for (const point of [...beside, ...distant]) {
      const lengths = point.caches.map(({ length }) => length);
      const started = now();
      await model.run(point.caches.map((cache) => rowsOf(cache, point.rows, 0)));
      point.ms = Math.min(point.ms, now() - started);
      point.caches.forEach((cache, i) => {
        cache.truncate(lengths[i]!);
      });
    }
  }
  for (const cache of [...caches, long]) cache.release();
  const msAlone = (rows: number) => beside.find((p) => p.caches.length === 1 && p.rows === rows)?.ms;
  const added = distant.map(({ rows, ms }) => (ms - (msAlone(rows) ?? ms)) / Math.max(1, far - near));
  const attention = attentionOf(added[0]!, added[1]!);
  const points = beside.map(({ caches, rows, ms }) =>
    onEmptyCaches(caches.length, rows, near, ms, attention),
  );
  return { points, attention };
}

/** From what a cached position adds to a step of FEW and of MANY rows, milliseconds. */
function attentionOf(fewMs: number, manyMs: number): AttentionCost {
  const lookMs = Math.max(0, (manyMs - fewMs) / (MANY - FEW));
  return { readMs: Math.max(0, fewMs - FEW * lookMs), lookMs };
}

function onEmptyCaches(
  slots: number,
  each: number,
  cached: number,
  ms: number,
  { readMs, lookMs }: AttentionCost,
): CostPoint {
  const attentionMs = slots * cached * (readMs + each * lookMs);
  return { slots, rows: slots * each, ms: Math.max(ms / 2, ms - attentionMs) };
}

async function fill(model: TargetModel, cache: SlotRows["cache"], length: number): Promise<void> {
  while (cache.length < length)
    await model.run([rowsOf(cache, Math.min(CHUNK, length - cache.length), CHUNK)]);
}

const rowsOf = (cache: SlotRows["cache"], rows: number, firstLogitRow: number): SlotRows => ({
  cache,
  ids: Array.from({ length: rows }, (_, i) => i + 1),
  firstLogitRow: Math.min(firstLogitRow, rows),
});
