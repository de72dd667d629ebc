"""The distilling loss: how far the draft's shares are from the target's, on the ids that the target names, plus one
bucket for all the rest.

With p the target's shares of its listed ids and q the draft's softmax, r = 1 - sum p_i, s = 1 - sum q_i (i over the
listed ids), a mix of
    forward KL         sum_i p_i log(p_i / q_i) + r log(r / s)
    reverse KL         sum_i q_i log(q_i / p_i) + s log(s / r)
    total variation    (sum_i |q_i - p_i| + |s - r|) / 2
Where g_i and g are what a mix changes with q_i and with s, its gradient by the draft's logits is q_i (g_i - m) for a
listed id and q_j (g - m) for any other, m = sum_i q_i g_i + s g.
Logits exist only for `ROWS` positions at a time, and never in the graph. Nothing here waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = {"cpu": 1024, "cuda": 16384}
"""By kind of device: what fits its caches, or what fills it."""
TINY = 1e-6


@dataclass(frozen=True)
class Mix:
    """How much each distance counts."""

    forward_kl: float = 1.0
    reverse_kl: float = 0.0
    total_variation: float = 0.0


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
    def forward(ctx: Any, hidden: Tensor, head: Tensor, rows: Tensor, p: Tensor, listed: Tensor, mix: Mix) -> Tensor:
        count, at_once = len(hidden), ROWS[hidden.device.type]
        small_head = head.to(torch.bfloat16)
        d_hidden = torch.empty_like(hidden, dtype=torch.bfloat16)
        d_head = torch.zeros_like(head)
        total = torch.zeros((), device=hidden.device)
        for at in range(0, count, at_once):
            part = slice(at, at + at_once)
            small = hidden[part].to(torch.bfloat16)
            logits = F.linear(small, small_head).float()
            loss, gradient = loss_and_gradient(logits, rows[part], p[part], listed[part], mix)
            gradient = gradient.to(torch.bfloat16)
            total += loss
            d_hidden[part] = gradient @ small_head
            d_head += (gradient.T @ small).float()
        ctx.save_for_backward(d_hidden.to(hidden.dtype) / count, d_head / count)
        return total / count

    @staticmethod
    def backward(ctx: Any, *scale: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        d_hidden, d_head = ctx.saved_tensors
        return d_hidden * scale[0], d_head * scale[0], None, None, None, None


def loss_and_gradient(logits: Tensor, rows: Tensor, p: Tensor, listed: Tensor, mix: Mix) -> tuple[Tensor, Tensor]:
    """Summed loss and its gradient by `logits` [N,V]."""
    log_q = logits.gather(1, rows) - logits.logsumexp(-1, keepdim=True)
    shares = Shares(
        p=p,
        q=log_q.exp() * listed,
        log_ratio=(log_q - p.clamp(min=1e-9).log()) * listed,
        rest_p=(1 - p.sum(-1, keepdim=True)).clamp(min=0),
        rest_q=(1 - (log_q.exp() * listed).sum(-1, keepdim=True)).clamp(min=TINY),
    )
    loss, pull, rest = torch.zeros_like(p[0, 0]), torch.zeros_like(p), torch.zeros_like(shares.rest_q)
    for weight, distance in (
        (mix.forward_kl, forward_kl),
        (mix.reverse_kl, reverse_kl),
        (mix.total_variation, total_variation),
    ):
        if weight:
            terms, its_pull, its_rest = distance(shares)
            loss, pull, rest = loss + weight * terms.sum(), pull + weight * its_pull, rest + weight * its_rest
    mean = pull.sum(-1, keepdim=True) + shares.rest_q * rest
    gradient = logits.softmax(-1).mul_(rest - mean)
    gradient.scatter_add_(1, rows, pull - shares.q * rest)
    return loss, gradient


@dataclass(frozen=True)
class Shares:
    """Of the listed ids [N,k], 0 where the head has none, and of all others together [N,1]."""

    p: Tensor
    q: Tensor
    log_ratio: Tensor
    """log(q / p)."""
    rest_p: Tensor
    rest_q: Tensor

    @property
    def log_rest_ratio(self) -> Tensor:
        return (self.rest_q / self.rest_p.clamp(min=TINY)).log()


Distance = tuple[Tensor, Tensor, Tensor]
"""Terms of a distance [N,k+1], q_i g_i of the listed ids [N,k], and g of the rest [N,1]."""


def forward_kl(x: Shares) -> Distance:
    terms = torch.cat((-x.p * x.log_ratio, x.rest_p * (x.rest_p.clamp(min=1e-9) / x.rest_q).log()), -1)
    return terms, -x.p, -x.rest_p / x.rest_q


def reverse_kl(x: Shares) -> Distance:
    terms = torch.cat((x.q * x.log_ratio, x.rest_q * x.log_rest_ratio), -1)
    return terms, x.q * (x.log_ratio + 1), x.log_rest_ratio + 1


def total_variation(x: Shares) -> Distance:
    differences, rest = x.q - x.p, x.rest_q - x.rest_p
    return torch.cat((differences.abs(), rest.abs()), -1) / 2, x.q * differences.sign() / 2, rest.sign() / 2
