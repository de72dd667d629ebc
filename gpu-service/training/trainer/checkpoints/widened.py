"""A checkpoint widened with zero rows, columns and heads: the same function at the cost of a larger model.

For benchmarks only. Zeros are stored and multiplied like any other weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np

from checkpoints.checkpoint import F32, LlamaCheckpoint, QuantizedRows, Rows, TensorReader
from checkpoints.errors import CheckpointError
from checkpoints.llama import expected_shapes
from checkpoints.quantize import BLOCK


def widen(checkpoint: LlamaCheckpoint, hidden_times: int, ffn_times: int) -> LlamaCheckpoint:
    """`hidden_times` as wide with as many times the heads, `ffn_times` as wide inside the feed-forward layers.

    RMSNorm divides by the root of the mean square, and the zeros make the mean `hidden_times` smaller: the norm's
    weights are divided by the root of that, its epsilon by all of it. So that both are exact, `hidden_times` is a
    power of four. The query heads of one key head stay together, as their number per key head stays.
    Errors: CheckpointError for other factors, or sizes that are no whole number of quantisation blocks.
    """
    config = checkpoint.config
    root = isqrt(max(hidden_times, 0))
    if root * root != hidden_times or root & (root - 1) or hidden_times < 1 or ffn_times < 1:
        raise CheckpointError(f"widening by {hidden_times} and {ffn_times}: a power of four, and at least 1")
    if config.hidden % BLOCK or config.ffn % BLOCK:
        raise CheckpointError(f"widening {config.hidden} and {config.ffn}: not multiples of {BLOCK}")
    wide = replace(
        config,
        hidden=config.hidden * hidden_times,
        heads=config.heads * hidden_times,
        kv_heads=config.kv_heads * hidden_times,
        ffn=config.ffn * ffn_times,
        norm_eps=config.norm_eps / hidden_times,
    )
    rows = int(checkpoint.source.get("vocab_rows", config.vocab_size))
    tensors = _Tensors(checkpoint.tensors, expected_shapes(wide, rows), root)
    source = {**checkpoint.source, "widened": {"hidden_times": hidden_times, "ffn_times": ffn_times}}
    return LlamaCheckpoint(wide, checkpoint.tokenizer, tensors, source)


@dataclass(frozen=True)
class _Tensors:
    narrow: TensorReader
    shapes: Mapping[str, tuple[int, ...]]
    norm_divisor: int

    def read(self, name: str) -> F32:
        tensor = self.narrow.read(name)
        if tensor.ndim == 1:
            tensor = tensor / np.float32(self.norm_divisor)
        return _padded(tensor, self.shapes[name])

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        """A block of zeros has scale 0; its quants stand in the middle."""
        blocks = self.narrow.native_blocks(name, bits)
        if blocks is None:
            return None
        rows, columns = self.shapes[name]
        per_block = (rows, columns // BLOCK)
        offsets = None if blocks.offsets is None else _padded(blocks.offsets, per_block)
        quants = _padded(blocks.quants, (rows, columns), 1 << (bits - 1))
        return QuantizedRows(bits, quants, _padded(blocks.scales, per_block), offsets)


def _padded(array: Rows, shape: tuple[int, ...], value: int = 0) -> Rows:
    """`array` in the first corner of an array of `shape`."""
    ends = [(0, wide - narrow) for wide, narrow in zip(shape, array.shape, strict=True)]
    return np.pad(array, ends, constant_values=value)
