/**
 * Quantised matrix × four tokens, 8 rows at a time: weights are loaded, and unpacked, once for four tokens.
 * Sums a are of rows 0..3, sums b of rows 4..7. `x`: quantise()'s records, `tokenBytes` from one token to the next.
 */
import { GROUP_BYTES, groupScale, groupStart } from "./activations";
import {
  highNibbles, INT4_CELL_BYTES, INT4_QUANTS_BYTES, INT8_CELL_BYTES, INT8_QUANTS_BYTES, lowNibbles, QUAD_BYTES,
} from "./cells";
import { addScaled, dot, loadBf16 } from "./lanes";

/** int8. */
export function multiplyFour8(cells: usize, rows: i32, x: usize, tokenBytes: usize, out: usize, outBytes: usize): void {
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

/** int4. */
export function multiplyFour4(cells: usize, rows: i32, x: usize, tokenBytes: usize, out: usize, outBytes: usize): void {
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
