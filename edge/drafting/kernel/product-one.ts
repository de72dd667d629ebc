/** Quantised matrix × one token, 16 rows at a time. `cell`: the first cell of `rows` rows; `x`: quantise()'s records. */
import { GROUP_BYTES, groupScale, groupStart } from "./activations";
import {
  highNibbles, INT4_CELL_BYTES, INT4_QUANTS_BYTES, INT8_CELL_BYTES, INT8_QUANTS_BYTES, lowNibbles, QUAD_BYTES,
} from "./cells";
import { addScaled, dot, loadBf16 } from "./lanes";

/** int8. */
export function multiplyOne8(cell: usize, rows: i32, x: usize, tokenBytes: usize, out: usize): void {
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

/** int4. */
export function multiplyOne4(cell: usize, rows: i32, x: usize, tokenBytes: usize, out: usize): void {
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

/** sum + four columns of low nibbles + four columns of high nibbles. */
@inline
function dotNibbles(sum: v128, low: v128, high: v128, nibbles: v128): v128 {
  return dot(dot(sum, low, lowNibbles(nibbles)), high, highNibbles(nibbles));
}
