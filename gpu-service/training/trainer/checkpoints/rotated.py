"""A checkpoint rotated so that no activation stands out: the same function, fit for activations in 8 bits.

A few columns of a Llama's activations are a hundred times as large as the others, and 8 bits for a whole row would
leave the others none. Hadamard transforms spread them evenly (QuaRot, Ashkboos et al. 2024). They are orthogonal, so
that RMSNorm, its weights multiplied into the matrices after it, commutes with the one of the residual stream; that one
and the one of each value head are multiplied into the weights. The feed-forward activations cannot be rotated
beforehand: their transform (`hadamard_matrix`) is the graph's to apply.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from checkpoints.checkpoint import F32, LlamaCheckpoint, QuantizedRows, TensorReader
from checkpoints.llama import EMBEDDING, FINAL_NORM, HEAD, LlamaConfig, layer_names

F64 = npt.NDArray[np.float64]
SEED = 1
FFN_BLOCK = 64  # columns that the graph mixes: more of them would cost more than they gain


def rotate(checkpoint: LlamaCheckpoint) -> LlamaCheckpoint:
    """The same function, norms without weights. Embedding and head differ, so they are not tied."""
    config = checkpoint.config
    roles = {name: (role, names) for names in map(layer_names, range(config.layers)) for role, name in names.items()}
    return replace(checkpoint, config=replace(config, tied=False), tensors=_Tensors(checkpoint, config, roles))


def hadamard_matrix(columns: int) -> F32:
    """f32 [n, n], symmetric and orthogonal, for blocks of n of `columns` columns; [1, 1] where none fit."""
    return _hadamard(np.eye(_block(columns, FFN_BLOCK)), FFN_BLOCK).astype(np.float32)


@dataclass(frozen=True)
class _Tensors(TensorReader):
    source: LlamaCheckpoint
    config: LlamaConfig
    roles: Mapping[str, tuple[str, Mapping[str, str]]]

    def read(self, name: str) -> F32:
        return self._rotated(name).astype(np.float32)

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        """None: the source's quants do not survive."""

    def _rotated(self, name: str) -> F64 | F32:
        source = self.source
        if name == EMBEDDING:
            return self._from_residual(source.read(EMBEDDING))
        if name == HEAD:
            head = source.read(EMBEDDING if self.config.tied else HEAD)
            return self._from_residual(head * source.read(FINAL_NORM))
        if name == FINAL_NORM:
            return np.ones_like(source.read(name))
        role, names = self.roles[name]
        matrix = source.read(name)
        if matrix.ndim == 1:
            return np.ones_like(matrix)
        if role == "output":
            return self._from_residual(_hadamard(matrix, self.config.head_dim).T).T
        if role == "down":
            return self._from_residual(_hadamard(matrix, FFN_BLOCK).T).T
        norm = "mlp_norm" if role in ("gate", "up") else "attention_norm"
        rotated = self._from_residual(matrix * source.read(names[norm]))
        return _hadamard(rotated.T, self.config.head_dim).T if role == "v" else rotated

    def _from_residual(self, matrix: F32 | F64) -> F64:
        """[rows, hidden] for a rotated residual stream. Signs keep what all columns share from landing in one."""
        signs = np.random.default_rng(SEED).integers(0, 2, self.config.hidden) * 2.0 - 1.0
        return _hadamard(matrix * signs, self.config.hidden)


def _hadamard(matrix: F32 | F64, most: int) -> F64:
    """The orthonormal Walsh-Hadamard transform of each row, in blocks of a power of two of at most `most` columns.

    By sums and differences only: the same bits on every machine, so that converting twice gives equal files.
    """
    block = _block(matrix.shape[1], most)
    values = matrix.astype(np.float64).reshape(-1, block)
    half = 1
    while half < block:
        pairs = values.reshape(-1, 2, half)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1, block)
        half *= 2
    rotated: F64 = values.reshape(matrix.shape) / np.sqrt(block)
    return rotated


def _block(columns: int, most: int) -> int:
    """The largest power of two that divides `columns`, at most `most` rounded down to one."""
    return min(columns & -columns, 1 << (most.bit_length() - 1))
