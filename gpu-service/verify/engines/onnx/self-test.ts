/**
 * Proof at load that a row's logits do not depend on how rows were grouped: losslessness rests on it.
 *
 * The same ids run one by one, as one block, in ragged chunks, and beside other sequences in wider graphs;
 * every logit must be bit-equal. The bits also name the kernels that this machine runs.
 */
import { createHash } from "node:crypto";
import type { Cache, SlotRows, TargetModel } from "../../scheduler/model.ts";

const LENGTH = 20;
/** Logits are compared from this row on, so that every way of grouping has rows before them. */
const COMPARED_FROM = 12;
const CHUNKINGS: readonly (readonly number[])[] = [[20], [8, 8, 2, 2], [11, 1, 8], [2, 2, 8, 1, 7]];

export type SelfTest = { ok: true; fingerprint: string } | { ok: false; message: string };

/** `fingerprint`: 8 hex digits over the logits' bits. */
export async function testExactness(model: TargetModel, widths: readonly number[]): Promise<SelfTest> {
  const ids = Array.from({ length: LENGTH }, (_, i) => (i * 7919 + 11) % model.vocabSize);
  const expected = await logitsOf(model, ids, Array(LENGTH).fill(1), 1);
  for (const width of widths) {
    for (const chunks of width === 1 ? CHUNKINGS : CHUNKINGS.slice(1, 3)) {
      const found = await logitsOf(model, ids, chunks, width);
      const difference = worst(expected, found);
      if (difference === 0) continue;
      const how = `rows ${chunks.join("+")} in the graph for ${width}`;
      return {
        ok: false,
        message: `logits differ by up to ${difference.toExponential(2)} between single rows and ${how}`,
      };
    }
  }
  return { ok: true, fingerprint: fingerprint(expected) };
}

/** Logits of rows COMPARED_FROM … of `ids`, run in `chunks` beside `width` − 1 ragged companions. */
async function logitsOf(
  model: TargetModel,
  ids: readonly number[],
  chunks: readonly number[],
  width: number,
): Promise<Float32Array[]> {
  const cache = model.openCache();
  const companions = Array.from({ length: width - 1 }, () => model.openCache());
  const logits: Float32Array[] = [];
  for (const rows of chunks) {
    const from = cache.length;
    const own: SlotRows = { cache, ids: ids.slice(from, from + rows), firstLogitRow: 0 };
    // The sequence under test stands last, behind companions of other lengths.
    const step = await model.run([...companions.map((c, i) => companionRows(c, ids, 1 + (i % 3))), own]);
    for (let row = 0; row < rows; row++) {
      if (from + row >= COMPARED_FROM) logits.push(step.row(width - 1, row).slice());
    }
  }
  for (const c of [cache, ...companions]) c.release();
  return logits;
}

const companionRows = (cache: Cache, ids: readonly number[], rows: number): SlotRows => ({
  cache,
  ids: Array.from({ length: rows }, (_, i) => ids[(cache.length + 3 * i + 5) % ids.length]!),
  firstLogitRow: rows,
});

/** Largest difference; NaN counts as infinite. */
function worst(expected: readonly Float32Array[], found: readonly Float32Array[]): number {
  let most = 0;
  expected.forEach((row, r) => {
    const other = found[r]!;
    for (let i = 0; i < row.length; i++) {
      const difference = Math.abs(row[i]! - other[i]!);
      most = Math.max(most, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
    }
  });
  return most;
}

function fingerprint(rows: readonly Float32Array[]): string {
  const hash = createHash("sha256");
  for (const row of rows) hash.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
  return hash.digest("hex").slice(0, 8);
}
