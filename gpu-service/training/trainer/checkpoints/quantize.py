"""Quantisation: in blocks of 32 columns, as `MatMulNBits` takes them, or with one scale for a whole row."""

import numpy as np

from checkpoints.checkpoint import F32, U8, QuantizedRows

BLOCK = 32
ROWS_AT_A_TIME = 4096
# Shrinking the scale clips a block's largest value and resolves all others better; the best of these is kept.
INT4_SCALE_FACTORS = (1.0, 0.96, 0.92, 0.88, 0.84, 0.80, 1.06, 1.14)


def quantize(matrix: F32, bits: int) -> QuantizedRows:
    """f32 [rows, columns] (columns a multiple of 32) to 8 or 4 bits, symmetric."""
    parts = [_quantize_rows(matrix[at : at + ROWS_AT_A_TIME], bits) for at in range(0, len(matrix), ROWS_AT_A_TIME)]
    return QuantizedRows(bits, np.concatenate([p.quants for p in parts]), np.concatenate([p.scales for p in parts]))


def dequantize(rows: QuantizedRows) -> F32:
    """f32 [rows, columns]."""
    blocks = rows.quants.reshape(*rows.scales.shape, BLOCK).astype(np.float32) - np.float32(1 << (rows.bits - 1))
    values: F32 = blocks * rows.scales[..., None]
    if rows.offsets is not None:
        values = values + rows.offsets[..., None]
    return values.reshape(rows.quants.shape)


def quantize_whole_rows(matrix: F32) -> tuple[U8, F32]:
    """f32 [rows, columns] to u8 [columns, rows] around 128 and a scale for each row, f32 [rows]."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    quants = np.rint(matrix * _inverse(scales)[:, None]) + np.float32(128)
    return np.ascontiguousarray(quants.astype(np.uint8).T), scales


def pack(rows: QuantizedRows) -> U8:
    """The bytes of input B of `MatMulNBits`: u8 [rows, columns / 32, 32 * bits / 8], low nibble first."""
    blocks = rows.quants.reshape(*rows.scales.shape, BLOCK)
    if rows.bits == 8:
        return blocks
    packed: U8 = blocks[..., 0::2] | (blocks[..., 1::2] << np.uint8(4))
    return packed


def _quantize_rows(matrix: F32, bits: int) -> QuantizedRows:
    blocks = matrix.reshape(len(matrix), -1, BLOCK)
    quants, scales = _int8(blocks) if bits == 8 else _int4(blocks)
    zero = np.float32(1 << (bits - 1))
    return QuantizedRows(bits, (quants + zero).astype(np.uint8).reshape(matrix.shape), scales[..., 0])


def _int8(blocks: F32) -> tuple[F32, F32]:
    scales = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(127)
    return np.rint(blocks * _inverse(scales)), scales


def _int4(blocks: F32) -> tuple[F32, F32]:
    """Quants -8..7: try a few scales from the signed largest value, refit each by least squares, keep the best."""
    at = np.abs(blocks).argmax(axis=-1)[..., None]
    widest = np.take_along_axis(blocks, at, axis=-1) / np.float32(-8)
    best_quants, best_scales = np.zeros_like(blocks), np.zeros_like(widest)
    best_error = np.full_like(widest, np.inf)
    for factor in INT4_SCALE_FACTORS:
        quants = np.clip(np.rint(blocks * _inverse(widest * np.float32(factor))), -8, 7)
        squares = (quants * quants).sum(axis=-1, keepdims=True)
        scales = (quants * blocks).sum(axis=-1, keepdims=True) * _inverse(squares)
        error = np.square(blocks - quants * scales).sum(axis=-1, keepdims=True)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scales = np.where(better, scales, best_scales)
        best_quants = np.where(better, quants, best_quants)
    return best_quants, best_scales


def _inverse(values: F32) -> F32:
    """1 / values, 0 where a value is 0 (an all-zero block)."""
    inverse: F32 = np.divide(1, values, out=np.zeros_like(values), where=values != 0)
    return inverse
