"""Keys and values of texts that a model is writing."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.llama_config import LlamaConfig


def aligned(slots: int) -> int:
    """Slots come in eights: a GPU's attention wants its mask aligned so."""
    return slots + -slots % 8


class Cache:
    """Keys and values of a left-padded batch: [layers,B,KV,slots,D]; `pad` [B] slots in front belong to nobody."""

    def __init__(self, c: LlamaConfig, pad: Tensor, slots: int, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(
            c.layers, len(pad), c.kv_heads, aligned(slots), c.head_dim, dtype=dtype, device=pad.device
        )
        self.values = torch.zeros_like(self.keys)
        self.pad = pad

    def rows(self, keep: Tensor | slice) -> Cache:
        """The cache of some rows: a view for a slice, a copy for a mask."""
        part = Cache.__new__(Cache)
        part.keys, part.values, part.pad = self.keys[:, keep], self.values[:, keep], self.pad[keep]
        return part
