"""What a training step computes: a module from a batch to its mean loss, so that DDP and FSDP see every weight used."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainer.cross_entropy import LinearCrossEntropy
from trainer.llama import Llama

IGNORED = -100


class NextToken(nn.Module):
    def __init__(self, model: Llama) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """Mean cross entropy of ids[:, 1:] given what stands before; targets that are `IGNORED` do not count."""
        with torch.autocast(ids.device.type, torch.bfloat16):
            hidden = self.model.hidden(ids[:, :-1].clamp(min=0))
        targets = ids[:, 1:].flatten()
        counted = targets != IGNORED
        loss: Tensor = LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden.flatten(0, 1)[counted], self.model.head, targets[counted]
        )
        return loss
