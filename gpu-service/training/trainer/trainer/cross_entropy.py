"""Cross entropy of a head's logits that never has them all: `ROWS` positions at a time, their gradient at once.

The gradient by the logits is softmax - one-hot; what goes back to states and head is computed in the forward pass, in
bfloat16 with sums in float32, so no logit is kept for the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 1024


class LinearCrossEntropy(torch.autograd.Function):
    """Mean over positions. hidden [N,H], head [V,H], targets i64 [N]; zero where there is no position."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        count = max(1, len(hidden))
        small_head = head.to(torch.bfloat16)
        d_hidden = torch.empty(hidden.shape, dtype=torch.bfloat16, device=hidden.device)
        d_head = torch.zeros(head.shape, dtype=torch.float32, device=hidden.device)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for at in range(0, len(hidden), ROWS):
            small, wanted = hidden[at : at + ROWS].to(torch.bfloat16), targets[at : at + ROWS, None]
            log_q = F.linear(small, small_head).float().log_softmax(-1)
            total -= log_q.gather(1, wanted).sum()
            gradient = log_q.exp_()
            gradient.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=torch.float32))
            gradient = gradient.to(torch.bfloat16)
            d_hidden[at : at + ROWS] = gradient @ small_head
            d_head += gradient.T @ small
        ctx.save_for_backward(d_hidden / count, d_head / count)
        return total / count

    @staticmethod
    def backward(ctx: Any, *scale: Tensor) -> tuple[Tensor, Tensor, None]:
        d_hidden, d_head = ctx.saved_tensors
        return d_hidden * scale[0], d_head * scale[0], None
