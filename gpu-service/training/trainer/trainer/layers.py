"""Matrices that can pretend to be quantised already: `bits` is None while training in full precision."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.quantise import straight_through


class Linear(nn.Linear):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.bits: int | None = None

    def seen(self) -> Tensor:
        """The weight [outputs, inputs] as the forward pass sees it."""
        return self.weight if self.bits is None else straight_through(self.weight, self.bits)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.seen())


class Embedding(nn.Embedding):
    def __init__(self, rows: int, size: int) -> None:
        super().__init__(rows, size)
        self.bits: int | None = None

    def seen(self) -> Tensor:
        return self.weight if self.bits is None else straight_through(self.weight, self.bits)

    def forward(self, ids: Tensor) -> Tensor:
        rows = super().forward(ids)
        return rows if self.bits is None else straight_through(rows, self.bits)
