/**
 * How a quantised matrix lies in memory. [rows][columns] is stored as [rows / 16][columns / 32] cells, read in one
 * stream. A cell holds quads of 64 bytes (four vectors of four rows; a 32-bit lane is one row, its bytes are four
 * columns) and 16 bf16 scales, so that one dot instruction advances four rows by four columns and no lane is ever
 * summed across.
 *   int8: 8 quads; value = (byte − 64) · scale, bytes 1..127.
 *   int4: 4 quads; low nibbles are columns 0..15, high nibbles 16..31; value = (nibble − 8) · scale.
 */

export const QUAD_BYTES: usize = 64;
export const SCALES_BYTES: usize = 32;
export const INT8_QUANTS_BYTES: usize = 8 * QUAD_BYTES;
export const INT4_QUANTS_BYTES: usize = 4 * QUAD_BYTES;
export const INT8_CELL_BYTES: usize = INT8_QUANTS_BYTES + SCALES_BYTES;
export const INT4_CELL_BYTES: usize = INT4_QUANTS_BYTES + SCALES_BYTES;
@inline
export function cellBytes(bits: i32): usize {
  return bits == 4 ? INT4_CELL_BYTES : INT8_CELL_BYTES;
}

@inline
export function lowNibbles(bytes: v128): v128 {
  return v128.and(bytes, i8x16.splat(15));
}
@inline
export function highNibbles(bytes: v128): v128 {
  return v128.and(i16x8.shr_u(bytes, 4), i8x16.splat(15));
}
