"""The distilling loss: forward KL on the ids that the target names, plus one bucket for all the rest.

With p the target's shares of its listed ids and q the draft's softmax,
    L = sum_i p_i log(p_i / q_i) + r log(r / s),   r = 1 - sum p_i,   s = 1 - sum q_i   (i over the listed ids)
whose gradient by the draft's logits is q_i - p_i for a listed id and q_j (1 - r / s) for any other.
Logits exist only for `ROWS` positions at a time, and never in the graph. Nothing here waits for the device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = {"cpu": 1024, "cuda": 16384}
"""By kind of device: what fits its caches, or what fills it."""
TINY = 1e-6


def listed_shares(logits: Tensor, logsumexp: Tensor, listed: Tensor) -> Tensor:
    """Target's shares [N,k] of its listed ids, given that the draft's head cannot say the unlisted ones.

    `listed` [N,k] is False where an id has no row in a short head: its share is taken out of the whole.
    """
    p = (logits.float() - logsumexp[:, None]).exp()
    p = p / p.sum(-1, keepdim=True).clamp(min=1.0)
    lost = (p * ~listed).sum(-1, keepdim=True)
    return p * listed / (1 - lost).clamp(min=TINY)


class DistilLoss(torch.autograd.Function):
    """Mean over positions. hidden [N,H], head [V,H], rows i64 [N,k] (any row where unlisted), p [N,k], listed [N,k]."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, rows: Tensor, p: Tensor, listed: Tensor) -> Tensor:
        count, at_once = len(hidden), ROWS[hidden.device.type]
        small_head = head.to(torch.bfloat16)
        d_hidden = torch.empty_like(hidden, dtype=torch.bfloat16)
        d_head = torch.zeros_like(head)
        total = torch.zeros((), device=hidden.device)
        for at in range(0, count, at_once):
            part = slice(at, at + at_once)
            small = hidden[part].to(torch.bfloat16)
            loss, gradient = loss_and_gradient(F.linear(small, small_head).float(), rows[part], p[part], listed[part])
            gradient = gradient.to(torch.bfloat16)
            total += loss
            d_hidden[part] = gradient @ small_head
            d_head += (gradient.T @ small).float()
        ctx.save_for_backward(d_hidden.to(hidden.dtype) / count, d_head / count)
        return total / count

    @staticmethod
    def backward(ctx: Any, *scale: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        d_hidden, d_head = ctx.saved_tensors
        return d_hidden * scale[0], d_head * scale[0], None, None, None


def loss_and_gradient(logits: Tensor, rows: Tensor, p: Tensor, listed: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss and its gradient by `logits` [N,V], which are overwritten."""
    log_q = logits.gather(1, rows) - logits.logsumexp(-1, keepdim=True)
    q_listed = log_q.exp() * listed
    rest_p = (1 - p.sum(-1, keepdim=True)).clamp(min=0)
    rest_q = (1 - q_listed.sum(-1, keepdim=True)).clamp(min=TINY)
    kl = (p * (p.clamp(min=1e-9).log() - log_q)).sum() + (rest_p * (rest_p.clamp(min=1e-9) / rest_q).log()).sum()
    gradient = logits.softmax(-1).mul_(1 - rest_p / rest_q)
    gradient.scatter_add_(1, rows, q_listed * (rest_p / rest_q) - p)
    return kl, gradient
