/**
 * Products with quantised matrices: out[token][row] = Σ matrix[row][column] · activation[token][column].
 *
 * A matrix [rows][columns] is stored as [rows / 16][columns / 32] cells, read in one stream. A cell holds quads of
 * 64 bytes (four vectors of four rows; a 32-bit lane is one row, its bytes are four columns) and 16 bf16 scales.
 * So one dot instruction advances four rows by four columns and no lane is ever summed across.
 *   int8: 8 quads; value = (byte − 64) · scale, bytes 1..127.
 *   int4: 4 quads; low nibbles are columns 0..15, high nibbles 16..31; value = (nibble − 8) · scale.
 * Integer sums are exact and each group of 32 columns enters its row's float sum in order: a product for one token
 * and a product for a block of tokens give the same bits.
 */
import { activationBytes, GROUP_BYTES, groupScale, groupStart } from "./activations";
import { addScaled, dot, loadBf16 } from "./lanes";
import { Matrix } from "./model";

const QUAD_BYTES: usize = 64;
const SCALES_BYTES: usize = 32;
export const INT8_QUANTS_BYTES: usize = 8 * QUAD_BYTES;
export const INT4_QUANTS_BYTES: usize = 4 * QUAD_BYTES;
const INT8_CELL_BYTES: usize = INT8_QUANTS_BYTES + SCALES_BYTES;
const INT4_CELL_BYTES: usize = INT4_QUANTS_BYTES + SCALES_BYTES;
/** Rows are taken in panels of about this many bytes, so that a panel stays in the first-level cache for a block. */
const PANEL_BYTES: i32 = 16384;

@inline
export function cellBytes(bits: i32): usize {
  return bits == 4 ? INT4_CELL_BYTES : INT8_CELL_BYTES;
}

/**
 * out[t][row] for `count` tokens and the rows from `firstRow` (a multiple of 16) on. `activations`: records of quantise(), one token after another.
 * `out`: f32, rows of a token together, `outFloats` from one token to the next; room for the padded rows.
 */
export function multiply(
  matrix: Matrix, firstRow: i32, activations: usize, count: i32, out: usize, outFloats: i32,
): void {
  const rows = matrix.paddedRows;
  const rowOfCellsBytes = <usize>(matrix.columns >> 5) * cellBytes(matrix.bits);
  const tokenBytes = activationBytes(matrix.columns);
  const outBytes = <usize>outFloats << 2;
  const panel = count < 4 ? rows : max(16, (PANEL_BYTES / <i32>rowOfCellsBytes) << 4);
  for (let row = firstRow; row < rows; row += panel) {
    const panelRows = min(panel, rows - row);
    const cells = matrix.at + <usize>(row >> 4) * rowOfCellsBytes;
    let x = activations;
    let y = out + (<usize>row << 2);
    let t = 0;
    for (; t + 4 <= count; t += 4) {
      if (matrix.bits == 4) multiplyFour4(cells, panelRows, x, tokenBytes, y, outBytes);
      else multiplyFour8(cells, panelRows, x, tokenBytes, y, outBytes);
      x += 4 * tokenBytes;
      y += 4 * outBytes;
    }
    for (; t < count; t++) {
      if (matrix.bits == 4) multiplyOne4(cells, panelRows, x, tokenBytes, y);
      else multiplyOne8(cells, panelRows, x, tokenBytes, y);
      x += tokenBytes;
      y += outBytes;
    }
  }
}

/** int8 × one token, 16 rows at a time. */
function multiplyOne8(cell: usize, rows: i32, x: usize, tokenBytes: usize, out: usize): void {
  for (const outEnd = out + (<usize>rows << 2); out < outEnd; out += 64) {
    let total0 = f32x4.splat(0);
    let total1 = total0;
    let total2 = total0;
    let total3 = total0;
    for (let group = x, end = x + tokenBytes; group < end; group += GROUP_BYTES) {
      let sum0 = groupStart(group);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      // unrolled
      for (let quad: usize = 0; quad < 8; quad++) {
        const columns = v128.load32_splat(group, 4 * quad);
        sum0 = dot(sum0, columns, v128.load(cell, QUAD_BYTES * quad));
        sum1 = dot(sum1, columns, v128.load(cell, QUAD_BYTES * quad + 16));
        sum2 = dot(sum2, columns, v128.load(cell, QUAD_BYTES * quad + 32));
        sum3 = dot(sum3, columns, v128.load(cell, QUAD_BYTES * quad + 48));
      }
      const scale = groupScale(group);
      const scales = cell + INT8_QUANTS_BYTES;
      total0 = addScaled(total0, sum0, loadBf16(scales), scale);
      total1 = addScaled(total1, sum1, loadBf16(scales + 8), scale);
      total2 = addScaled(total2, sum2, loadBf16(scales + 16), scale);
      total3 = addScaled(total3, sum3, loadBf16(scales + 24), scale);
      cell += INT8_CELL_BYTES;
    }
    v128.store(out, total0);
    v128.store(out, total1, 16);
    v128.store(out, total2, 32);
    v128.store(out, total3, 48);
  }
}

/** sum + four columns of low nibbles + four columns of high nibbles. */
@inline
function dotNibbles(sum: v128, low: v128, high: v128, nibbles: v128): v128 {
  return dot(dot(sum, low, lowNibbles(nibbles)), high, highNibbles(nibbles));
}
@inline
function lowNibbles(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(15));
}
@inline
function highNibbles(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
}

/** int4 × one token, 16 rows at a time. */
function multiplyOne4(cell: usize, rows: i32, x: usize, tokenBytes: usize, out: usize): void {
  for (const outEnd = out + (<usize>rows << 2); out < outEnd; out += 64) {
    let total0 = f32x4.splat(0);
    let total1 = total0;
    let total2 = total0;
    let total3 = total0;
    for (let group = x, end = x + tokenBytes; group < end; group += GROUP_BYTES) {
      let sum0 = groupStart(group);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      // unrolled
      for (let quad: usize = 0; quad < 4; quad++) {
        const low = v128.load32_splat(group, 4 * quad);
        const high = v128.load32_splat(group, 4 * quad + 16);
        sum0 = dotNibbles(sum0, low, high, v128.load(cell, QUAD_BYTES * quad));
        sum1 = dotNibbles(sum1, low, high, v128.load(cell, QUAD_BYTES * quad + 16));
        sum2 = dotNibbles(sum2, low, high, v128.load(cell, QUAD_BYTES * quad + 32));
        sum3 = dotNibbles(sum3, low, high, v128.load(cell, QUAD_BYTES * quad + 48));
      }
      const scale = groupScale(group);
      const scales = cell + INT4_QUANTS_BYTES;
      total0 = addScaled(total0, sum0, loadBf16(scales), scale);
      total1 = addScaled(total1, sum1, loadBf16(scales + 8), scale);
      total2 = addScaled(total2, sum2, loadBf16(scales + 16), scale);
      total3 = addScaled(total3, sum3, loadBf16(scales + 24), scale);
      cell += INT4_CELL_BYTES;
    }
    v128.store(out, total0);
    v128.store(out, total1, 16);
    v128.store(out, total2, 32);
    v128.store(out, total3, 48);
  }
}

/** int8 × four tokens, 8 rows at a time: weights are loaded once for four tokens. Totals a: rows 0..3, b: rows 4..7. */
function multiplyFour8(cells: usize, rows: i32, x: usize, tokenBytes: usize, out: usize, outBytes: usize): void {
  const rowOfCellsBytes = (tokenBytes / GROUP_BYTES) * INT8_CELL_BYTES;
  for (let row = 0; row < rows; row += 8) {
    const half = <usize>(row >> 3) & 1;
    let quants = cells + <usize>(row >> 4) * rowOfCellsBytes + half * 32;
    let scales = cells + <usize>(row >> 4) * rowOfCellsBytes + INT8_QUANTS_BYTES + half * 16;
    let x0 = x;
    let x1 = x0 + tokenBytes;
    let x2 = x1 + tokenBytes;
    let x3 = x2 + tokenBytes;
    let total0a = f32x4.splat(0);
    let total0b = total0a;
    let total1a = total0a;
    let total1b = total0a;
    let total2a = total0a;
    let total2b = total0a;
    let total3a = total0a;
    let total3b = total0a;
    for (const end = x + tokenBytes; x0 < end; x0 += GROUP_BYTES) {
      let sum0a = groupStart(x0);
      let sum0b = sum0a;
      let sum1a = groupStart(x1);
      let sum1b = sum1a;
      let sum2a = groupStart(x2);
      let sum2b = sum2a;
      let sum3a = groupStart(x3);
      let sum3b = sum3a;
      // unrolled
      for (let quad: usize = 0; quad < 8; quad++) {
        const a = v128.load(quants, QUAD_BYTES * quad);
        const b = v128.load(quants, QUAD_BYTES * quad + 16);
        const columns0 = v128.load32_splat(x0, 4 * quad);
        sum0a = dot(sum0a, columns0, a);
        sum0b = dot(sum0b, columns0, b);
        const columns1 = v128.load32_splat(x1, 4 * quad);
        sum1a = dot(sum1a, columns1, a);
        sum1b = dot(sum1b, columns1, b);
        const columns2 = v128.load32_splat(x2, 4 * quad);
        sum2a = dot(sum2a, columns2, a);
        sum2b = dot(sum2b, columns2, b);
        const columns3 = v128.load32_splat(x3, 4 * quad);
        sum3a = dot(sum3a, columns3, a);
        sum3b = dot(sum3b, columns3, b);
      }
      const scalesA = loadBf16(scales);
      const scalesB = loadBf16(scales + 8);
      total0a = addScaled(total0a, sum0a, scalesA, groupScale(x0));
      total0b = addScaled(total0b, sum0b, scalesB, groupScale(x0));
      total1a = addScaled(total1a, sum1a, scalesA, groupScale(x1));
      total1b = addScaled(total1b, sum1b, scalesB, groupScale(x1));
      total2a = addScaled(total2a, sum2a, scalesA, groupScale(x2));
      total2b = addScaled(total2b, sum2b, scalesB, groupScale(x2));
      total3a = addScaled(total3a, sum3a, scalesA, groupScale(x3));
      total3b = addScaled(total3b, sum3b, scalesB, groupScale(x3));
      quants += INT8_CELL_BYTES;
      scales += INT8_CELL_BYTES;
      x1 += GROUP_BYTES;
      x2 += GROUP_BYTES;
      x3 += GROUP_BYTES;
    }
    storePair(out, total0a, total0b);
    storePair(out + outBytes, total1a, total1b);
    storePair(out + 2 * outBytes, total2a, total2b);
    storePair(out + 3 * outBytes, total3a, total3b);
    out += 32;
  }
}

/** int4 × four tokens, 8 rows at a time: weights are loaded and unpacked once for four tokens. */
function multiplyFour4(cells: usize, rows: i32, x: usize, tokenBytes: usize, out: usize, outBytes: usize): void {
  const rowOfCellsBytes = (tokenBytes / GROUP_BYTES) * INT4_CELL_BYTES;
  for (let row = 0; row < rows; row += 8) {
    const half = <usize>(row >> 3) & 1;
    let quants = cells + <usize>(row >> 4) * rowOfCellsBytes + half * 32;
    let scales = cells + <usize>(row >> 4) * rowOfCellsBytes + INT4_QUANTS_BYTES + half * 16;
    let x0 = x;
    let x1 = x0 + tokenBytes;
    let x2 = x1 + tokenBytes;
    let x3 = x2 + tokenBytes;
    let total0a = f32x4.splat(0);
    let total0b = total0a;
    let total1a = total0a;
    let total1b = total0a;
    let total2a = total0a;
    let total2b = total0a;
    let total3a = total0a;
    let total3b = total0a;
    for (const end = x + tokenBytes; x0 < end; x0 += GROUP_BYTES) {
      let sum0a = groupStart(x0);
      let sum0b = sum0a;
      let sum1a = groupStart(x1);
      let sum1b = sum1a;
      let sum2a = groupStart(x2);
      let sum2b = sum2a;
      let sum3a = groupStart(x3);
      let sum3b = sum3a;
      // unrolled
      for (let quad: usize = 0; quad < 4; quad++) {
        const nibblesA = v128.load(quants, QUAD_BYTES * quad);
        const nibblesB = v128.load(quants, QUAD_BYTES * quad + 16);
        const lowA = lowNibbles(nibblesA);
        const lowB = lowNibbles(nibblesB);
        const highA = highNibbles(nibblesA);
        const highB = highNibbles(nibblesB);
        const low0 = v128.load32_splat(x0, 4 * quad);
        sum0a = dot(sum0a, low0, lowA);
        sum0b = dot(sum0b, low0, lowB);
        const low1 = v128.load32_splat(x1, 4 * quad);
        sum1a = dot(sum1a, low1, lowA);
        sum1b = dot(sum1b, low1, lowB);
        const low2 = v128.load32_splat(x2, 4 * quad);
        sum2a = dot(sum2a, low2, lowA);
        sum2b = dot(sum2b, low2, lowB);
        const low3 = v128.load32_splat(x3, 4 * quad);
        sum3a = dot(sum3a, low3, lowA);
        sum3b = dot(sum3b, low3, lowB);
        const high0 = v128.load32_splat(x0, 4 * quad + 16);
        sum0a = dot(sum0a, high0, highA);
        sum0b = dot(sum0b, high0, highB);
        const high1 = v128.load32_splat(x1, 4 * quad + 16);
        sum1a = dot(sum1a, high1, highA);
        sum1b = dot(sum1b, high1, highB);
        const high2 = v128.load32_splat(x2, 4 * quad + 16);
        sum2a = dot(sum2a, high2, highA);
        sum2b = dot(sum2b, high2, highB);
        const high3 = v128.load32_splat(x3, 4 * quad + 16);
        sum3a = dot(sum3a, high3, highA);
        sum3b = dot(sum3b, high3, highB);
      }
      const scalesA = loadBf16(scales);
      const scalesB = loadBf16(scales + 8);
      total0a = addScaled(total0a, sum0a, scalesA, groupScale(x0));
      total0b = addScaled(total0b, sum0b, scalesB, groupScale(x0));
      total1a = addScaled(total1a, sum1a, scalesA, groupScale(x1));
      total1b = addScaled(total1b, sum1b, scalesB, groupScale(x1));
      total2a = addScaled(total2a, sum2a, scalesA, groupScale(x2));
      total2b = addScaled(total2b, sum2b, scalesB, groupScale(x2));
      total3a = addScaled(total3a, sum3a, scalesA, groupScale(x3));
      total3b = addScaled(total3b, sum3b, scalesB, groupScale(x3));
      quants += INT4_CELL_BYTES;
      scales += INT4_CELL_BYTES;
      x1 += GROUP_BYTES;
      x2 += GROUP_BYTES;
      x3 += GROUP_BYTES;
    }
    storePair(out, total0a, total0b);
    storePair(out + outBytes, total1a, total1b);
    storePair(out + 2 * outBytes, total2a, total2b);
    storePair(out + 3 * outBytes, total3a, total3b);
    out += 32;
  }
}

@inline
function storePair(out: usize, a: v128, b: v128): void {
  v128.store(out, a);
  v128.store(out, b, 16);
}
