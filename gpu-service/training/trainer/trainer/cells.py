"""How a quantised matrix lies in the draft image: cells of 16 rows x 32 columns, in the order the kernel reads them.

A cell is its quads (64 bytes each: four vectors of four rows, four columns per 32-bit lane), then 16 bfloat16 scales.
int8 stores q + 64 in 8 quads (quad j: columns 4j to 4j+3). int4 stores q + 8 in 4 quads (quad j: columns 4j to 4j+3 in
the low nibbles, 16+4j to 16+4j+3 in the high ones). Rows are padded with zeros to whole cells.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 16
COLUMNS = 32
CELL_BYTES = {8: 544, 4: 288}
OFFSET = {8: 64, 4: 8}
"""Added to a quant to store it without a sign."""


def pack(quants: Tensor, scales: Tensor, bits: int) -> bytes:
    """int8 [N,K] and float32 [N,K/32] (bfloat16-exact) to cells [ceil(N/16)][K/32]."""
    rows, columns = quants.shape
    padding = -rows % ROWS
    q = np.pad(quants.numpy().astype(np.int16), ((0, padding), (0, 0))) + OFFSET[bits]
    s = np.pad(bfloat16_bits(scales), ((0, padding), (0, 0)))
    blocks = q.astype(np.uint8).reshape(-1, ROWS, columns // COLUMNS, COLUMNS).transpose(0, 2, 1, 3)
    # [..., 16 rows, quads, 4 columns] to [..., quads, 16 rows, 4 columns]
    quads: NDArray[np.uint8] = blocks.reshape(*blocks.shape[:3], COLUMNS // 4, 4).swapaxes(2, 3)
    if bits == 4:
        quads = np.bitwise_or(quads[:, :, :4], np.left_shift(quads[:, :, 4:], np.uint8(4)))
    body = quads.reshape(*blocks.shape[:2], -1)
    tail = s.reshape(-1, ROWS, columns // COLUMNS).transpose(0, 2, 1)
    tail_bytes = np.ascontiguousarray(tail).view(np.uint8)
    image: bytes = np.concatenate([body, tail_bytes], -1).tobytes()
    return image


def unpack(data: bytes, rows: int, columns: int, bits: int) -> tuple[Tensor, Tensor]:
    """The inverse of `pack`."""
    cells = np.frombuffer(data, np.uint8).reshape(-1, columns // COLUMNS, CELL_BYTES[bits])
    quads = cells[:, :, : -2 * ROWS].reshape(*cells.shape[:2], -1, ROWS, 4)
    if bits == 4:
        quads = np.concatenate([quads & 15, quads >> 4], 2)
    blocks = quads.swapaxes(2, 3).reshape(*cells.shape[:2], ROWS, COLUMNS)
    q = blocks.transpose(0, 2, 1, 3).reshape(-1, columns).astype(np.int16) - OFFSET[bits]
    tail = np.ascontiguousarray(cells[:, :, -2 * ROWS :]).view("<u2").transpose(0, 2, 1).reshape(-1, columns // COLUMNS)
    scales = torch.from_numpy((tail.astype(np.uint32) << 16).view(np.float32))
    return torch.from_numpy(q.astype(np.int8))[:rows], scales[:rows]


def bfloat16_bits(values: Tensor) -> NDArray[np.uint16]:
    """Upper halves of float32 values that bfloat16 holds exactly."""
    whole = values.contiguous().numpy().view(np.uint32)
    if (whole & 0xFFFF).any():
        raise ValueError("a scale is not rounded to bfloat16")
    return (whole >> 16).astype(np.uint16)
