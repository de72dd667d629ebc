/**
 * Proof at load that a row's logits do not depend on how rows were grouped: losslessness rests on it.
 *
 * The same ids run one by one, as one block, in ragged chunks, at the head of a chunk as long as a prefill's, and in
 * wider graphs beside other sequences and idle slots; every logit must be bit-equal. Kernels change with the number
 * of rows, so every size of step that the scheduler makes has its like here. The bits also name the kernels that this
 * machine runs.
 */
import { createHash } from "node:crypto";
import type { Cache, SlotRows, TargetModel } from "../../scheduler/model.ts";

const LENGTH = 20;
/** Logits are compared from this row on, so that every way of grouping has rows before them. */
const COMPARED_FROM = 12;
/** In the graph for one. The last is a full prefill chunk: ids beyond LENGTH follow those that are compared. */
const CHUNKINGS: readonly (readonly number[])[] = [[20], [8, 8, 2, 2], [11, 1, 8], [2, 2, 8, 1, 7], [64]];
/** In wider graphs, with so many of their slots idle. */
const CHUNKINGS_BESIDE: readonly { chunks: readonly number[]; idle: number }[] = [
  { chunks: [8, 8, 2, 2], idle: 0 },
  { chunks: [11, 1, 8], idle: 1 },
  { chunks: [64], idle: 0 },
];

export type SelfTest = { ok: true; fingerprint: string } | { ok: false; message: string };

/** `fingerprint`: 8 hex digits over the logits' bits. */
export async function testExactness(model: TargetModel, widths: readonly number[]): Promise<SelfTest> {
  const ids = Array.from({ length: model.context }, (_, i) => (i * 7919 + 11) % model.vocabSize);
  const expected = await logitsOf(model, ids, Array(LENGTH).fill(1), 1);
  for (const width of widths) {
    for (const { chunks, idle } of width === 1 ? CHUNKINGS.map(alone) : CHUNKINGS_BESIDE) {
      // A graph for two with one idle would not be chosen: there is one for one.
      const sequences = width > 2 ? width - idle : width;
      const found = await logitsOf(model, ids, chunks, sequences);
      const difference = worst(expected, found);
      if (difference === 0) continue;
      const how = `rows ${chunks.join("+")} of one of ${sequences} in the graph for ${width}`;
      return {
        ok: false,
        message: `logits differ by up to ${difference.toExponential(2)} between single rows and ${how}`,
      };
    }
  }
  return { ok: true, fingerprint: fingerprint(expected) };
}

const alone = (chunks: readonly number[]) => ({ chunks, idle: 0 });

/** Logits of rows COMPARED_FROM … LENGTH − 1 of `ids`, run in `chunks` beside `sequences` − 1 ragged companions. */
async function logitsOf(
  model: TargetModel,
  ids: readonly number[],
  chunks: readonly number[],
  sequences: number,
): Promise<Float32Array[]> {
  const cache = model.openCache();
  const companions = Array.from({ length: sequences - 1 }, () => model.openCache());
  const logits: Float32Array[] = [];
  for (const rows of chunks) {
    const from = cache.length;
    const firstLogitRow = Math.min(rows, Math.max(0, COMPARED_FROM - from));
    const own: SlotRows = { cache, ids: ids.slice(from, from + rows), firstLogitRow };
    // The sequence under test stands last, behind companions of other lengths.
    const step = await model.run([...companions.map((c, i) => companionRows(c, ids, 1 + (i % 3))), own]);
    for (let row = 0; row < rows; row++) {
      const isCompared = from + row >= COMPARED_FROM && from + row < LENGTH;
      if (isCompared) logits.push(step.row(sequences - 1, row).slice());
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
