"""A Llama checkpoint in memory: its shape, its tokenizer files, and its tensors read one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from checkpoints.llama import EMBEDDING, HEAD, LlamaConfig

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Rows = TypeVar("Rows", F32, U8)


@dataclass(frozen=True)
class TokenizerFiles:
    """Contents of the files of the same names; a chat template is kept apart from `tokenizer_config.json`."""

    tokenizer_json: bytes
    tokenizer_config_json: bytes
    chat_template: str | None


@dataclass(frozen=True)
class QuantizedRows:
    """Blocks of 32 columns: value = (quant - 2 ** (bits - 1)) * scale + offset.

    `quants` is u8 [rows, columns], one value per byte for 4 bits too; `scales` and `offsets` are f32
    [rows, columns / 32]. `offsets` is None for symmetric blocks.
    """

    bits: int
    quants: U8
    scales: F32
    offsets: F32 | None = None


class TensorReader(Protocol):
    """Where the tensors of a checkpoint come from, by their Hugging Face names."""

    def read(self, name: str) -> F32:
        """The tensor as f32, in its Hugging Face layout."""

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        """The source's own quants where they are blocks of 32 with that many bits, else None."""


@dataclass(frozen=True)
class LlamaCheckpoint:
    """Shape, tokenizer and tensors; `source` says where all of it came from (goes into the manifest)."""

    config: LlamaConfig
    tokenizer: TokenizerFiles
    tensors: TensorReader
    source: Mapping[str, Any] = field(default_factory=dict)

    def read(self, name: str) -> F32:
        """One tensor as f32; embedding and head without the rows that only pad the vocabulary."""
        return self._cut(name, self.tensors.read(name))

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        """The source's own quants of one matrix, cut like `read`; None where it has none of that form."""
        rows = self.tensors.native_blocks(name, bits)
        if rows is None:
            return None
        offsets = None if rows.offsets is None else self._cut(name, rows.offsets)
        return QuantizedRows(bits, self._cut(name, rows.quants), self._cut(name, rows.scales), offsets)

    def _cut(self, name: str, array: Rows) -> Rows:
        return array[: self.config.vocab_size] if name in (EMBEDDING, HEAD) else array
