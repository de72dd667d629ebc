/**
 * Whether a row's logits are the same bits however a text is cut into steps and whatever shares them.
 *
 * The plain run, one row a step, is the reference: every other way has to give each of its logits again. What the
 * service checks at load for twenty rows (engines/onnx/self-test.ts) is checked here along whole texts.
 */
import { createHash } from "node:crypto";
import type { Cache, SlotRows, TargetModel } from "../../gpu-service/verify/scheduler/model.ts";

/** One way of running a text. */
export type Way = {
  name: string;
  /** Rows of each step, over and over. */
  chunks: readonly number[];
  /** One row a step from this share of the text on. */
  singlyFrom?: number;
  /** Sequences of other lengths in the same steps. */
  companions?: number;
  /** After each step so many wrong rows are run and rolled back. */
  wrongRows?: number;
  /** This share of the text is taken from the cache of an ended sequence; the rest of that one is wrong or missing. */
  reused?: { share: number; followedByOthers: boolean };
};

export const WAYS: readonly Way[] = [
  { name: "prefill in whole chunks", chunks: [64] },
  { name: "prefill in one chunk of 256 after the other", chunks: [256] },
  { name: "ragged chunks", chunks: [1, 2, 3, 5, 8, 13, 16, 33, 7] },
  { name: "refused hints after each row", chunks: [1, 9], wrongRows: 3 },
  { name: "resumed: prefilled, then row by row", chunks: [64], singlyFrom: 0.9 },
  { name: "a prefix taken over", chunks: [64], reused: { share: 0.6, followedByOthers: false } },
  { name: "a prefix copied", chunks: [5, 64], reused: { share: 0.4, followedByOthers: true } },
  { name: "beside one", chunks: [9, 64, 1], companions: 1 },
  { name: "beside two, one slot idle", chunks: [33, 2, 64], companions: 2 },
  { name: "beside three", chunks: [17, 64, 8], companions: 3 },
  { name: "beside seven", chunks: [64, 4, 33], companions: 7 },
];

/** A digest of each row's logits, all of the text's. */
export type Digests = readonly string[];

export const plainRun = (model: TargetModel, ids: readonly number[]): Promise<Digests> =>
  run(model, ids, { name: "row by row", chunks: [1] }, []);

/** Position of the first row of `ids` whose logits are not those of `expected`; undefined: there is none. */
export async function firstDifference(
  model: TargetModel,
  ids: readonly number[],
  expected: Digests,
  way: Way,
): Promise<number | undefined> {
  const found = await run(model, ids, way, expected);
  const at = found.findIndex((digest, position) => digest !== expected[position]);
  return at < 0 ? undefined : at;
}

/** `expected` stands for the rows that a reused prefix leaves out. */
async function run(
  model: TargetModel,
  ids: readonly number[],
  way: Way,
  expected: Digests,
): Promise<string[]> {
  const cache = way.reused ? await reusing(model, ids, way.name, way.reused) : model.openCache();
  const companions = Array.from({ length: way.companions ?? 0 }, () => model.openCache());
  const digests = expected.slice(0, cache.length);
  const singlyFrom = Math.floor((way.singlyFrom ?? 1) * ids.length);
  for (let step = 0; cache.length < ids.length; step++) {
    const from = cache.length;
    const chunk = way.chunks[step % way.chunks.length]!;
    const rows = ids.slice(from, from < singlyFrom ? Math.min(from + chunk, singlyFrom) : from + 1);
    const wrong = Array.from({ length: way.wrongRows ?? 0 }, (_, i) => other(model, from + i));
    const own: SlotRows = { cache, ids: [...rows, ...wrong], firstLogitRow: 0 };
    const logits = await model.run([...companions.map((c, i) => beside(model, c, i, step)), own]);
    for (let row = 0; row < rows.length; row++) digests.push(digest(logits.row(companions.length, row)));
    cache.truncate(from + rows.length);
  }
  for (const c of [cache, ...companions]) c.release();
  return digests;
}

/** A cache that holds a share of `ids`, left behind by a sequence that began with it. */
async function reusing(
  model: TargetModel,
  ids: readonly number[],
  tenant: string,
  { share, followedByOthers }: NonNullable<Way["reused"]>,
): Promise<Cache> {
  const length = Math.floor(share * ids.length);
  const others = followedByOthers ? Array.from({ length: 40 }, (_, i) => other(model, i)) : [];
  const earlier = { tenant, ids: [...ids.slice(0, length), ...others] };
  const cache = model.openCache();
  for (let n = 0; n < earlier.ids.length; n += 64)
    await model.run([{ cache, ids: earlier.ids.slice(n, n + 64), firstLogitRow: 0 }]);
  cache.release(earlier);
  const reused = model.openCache({ tenant, ids });
  if (reused.length < length) throw new Error(`only ${reused.length} of ${length} ids were reused`);
  return reused;
}

/** Companions begin anew at some length, each at another, so that they are out of step in every way. */
function beside(model: TargetModel, cache: Cache, number: number, step: number): SlotRows {
  if (cache.length > 50 + 30 * number) cache.truncate(number);
  const rows = 1 + ((step + number) % 4);
  const ids = Array.from({ length: rows }, (_, i) => other(model, cache.length + 31 * number + i));
  return { cache, ids, firstLogitRow: step % 2 ? rows : 0 };
}

const other = (model: TargetModel, n: number): number => (n * 7919 + 13) % model.vocabSize;

const digest = (logits: Float32Array): string =>
  createHash("sha1")
    .update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
    .digest("base64");
