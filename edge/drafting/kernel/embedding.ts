/** One row of the embedding, back to floats. */
import { cellBytes, INT4_QUANTS_BYTES, INT8_QUANTS_BYTES } from "./cells";
import { Matrix } from "./model";

/** out: f32[columns]. `row` must be a row of the matrix. */
export function embed(matrix: Matrix, row: i32, out: usize): void {
  const lane = <usize>(row & 15);
  const bytes = cellBytes(matrix.bits);
  const rowOfCells = <usize>(matrix.columns >> 5) * bytes;
  for (let cell = matrix.at + <usize>(row >> 4) * rowOfCells, end = cell + rowOfCells; cell < end; cell += bytes) {
    if (matrix.bits == 4) embedCell4(cell, lane, out);
    else embedCell8(cell, lane, out);
    out += 128;
  }
}

function embedCell4(cell: usize, lane: usize, out: usize): void {
  const scale = scaleOf(cell + INT4_QUANTS_BYTES, lane);
  for (let column: usize = 0; column < 16; column++) {
    const nibbles = byteOf(cell, lane, column);
    store<f32>(out + (column << 2), <f32>((nibbles & 15) - 8) * scale);
    store<f32>(out + (column << 2), <f32>((nibbles >> 4) - 8) * scale, 64);
  }
}

function embedCell8(cell: usize, lane: usize, out: usize): void {
  const scale = scaleOf(cell + INT8_QUANTS_BYTES, lane);
  for (let column: usize = 0; column < 32; column++) {
    store<f32>(out + (column << 2), <f32>(byteOf(cell, lane, column) - 64) * scale);
  }
}

@inline
function scaleOf(scales: usize, lane: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(scales + (lane << 1)) << 16);
}
@inline
function byteOf(cell: usize, lane: usize, column: usize): i32 {
  return <i32>load<u8>(cell + ((column >> 2) << 6) + (lane << 2) + (column & 3));
}
