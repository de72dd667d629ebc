"""Rounding a matrix to int4 so that what it gives changes least: GPTQ (Frantar et al. 2022).

Columns are rounded one after the other, those with the largest inputs first; what a column's rounding does to the
products is taken back, as far as the inputs go together, by the columns that are still to come. With X the inputs and
H = X^T X, the error of column j, over the diagonal of the Cholesky factor U of H's inverse, times row j of U.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.quantise import GROUP, INT4_MAX, INT4_MIN, grouped, int4_groups

DAMPING = 0.01
"""Added to H's diagonal, as a share of its mean: inputs that hardly occur must not be leant upon."""
BLOCK = 64
"""Columns whose errors are handed on to the rest at a time."""


def rounded_int4(weight: Tensor, moments: Tensor) -> Tensor:
    """[N,K] to the same on an int4 grid, for inputs whose summed outer products are `moments` [K,K]."""
    inputs = weight.shape[1]
    order = moments.diagonal().argsort(descending=True)
    left = weight.detach().float()[:, order]
    scales = group_scales(weight, moments.diagonal())[:, order // GROUP]
    factor = inverse_factor(moments[order][:, order])
    found = torch.empty_like(left)
    for at in range(0, inputs, BLOCK):
        end = min(at + BLOCK, inputs)
        errors = torch.empty(len(left), end - at)
        for j in range(at, end):
            quants = (left[:, j] / scales[:, j]).round_().clamp_(INT4_MIN, INT4_MAX)
            found[:, j] = quants * scales[:, j]
            errors[:, j - at] = (left[:, j] - found[:, j]) / factor[j, j]
            left[:, j:end] -= errors[:, j - at, None] * factor[j, j:end]
        left[:, end:] -= errors @ factor[at:end, end:]
    back = torch.empty_like(found)
    back[:, order] = found
    return back


def group_scales(weight: Tensor, importance: Tensor) -> Tensor:
    """[N,K/32]: the scales of least error, each column's counted by the mean square of its input."""
    return int4_groups(grouped(weight), importance.reshape(-1, GROUP))[1].squeeze(-1)


def inverse_factor(moments: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of the damped moments."""
    damped = moments.double()
    damped.diagonal().add_(DAMPING * damped.diagonal().mean().clamp(min=1e-8))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.float()
