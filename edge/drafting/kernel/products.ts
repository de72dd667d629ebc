/**
 * Products with quantised matrices: out[token][row] = Σ matrix[row][column] · activation[token][column].
 *
 * Integer sums are exact and each group of 32 columns enters its row's float sum in order: a product for one token
 * and a product for a block of tokens give the same bits.
 */
import { activationBytes } from "./activations";
import { cellBytes } from "./cells";
import { Matrix } from "./model";
import { multiplyFour4, multiplyFour8 } from "./product-four";
import { multiplyOne4, multiplyOne8 } from "./product-one";

/** Rows are taken in panels of about this many bytes, so that a panel stays in the first-level cache for a block. */
const PANEL_BYTES: i32 = 16384;

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
