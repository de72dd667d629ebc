"""The quantiser of the draft image, one for training (straight-through) and for export.

Symmetric, per row and group of 32 columns. The scale is rounded to bfloat16 before the quants are, so what the kernel
multiplies is what was rounded against. int8 keeps 7 bits (-63..63: two products fit 16-bit sums), int4 -8..7.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.errors import TrainerError

GROUP = 32
INT8_MAX = 63
INT4_MIN, INT4_MAX = -8, 7
INT4_SHRINKS = (1.0, 0.93, 0.86)
"""Scales tried for int4, as shares of the one that reaches the largest weight: a little clipping often costs less."""


@dataclass(frozen=True)
class Quantisation:
    """Bits (4 or 8) per kind of matrix."""

    body: int
    embedding: int
    head: int

    def __post_init__(self) -> None:
        for kind, bits in vars(self).items():
            if bits not in (4, 8):
                raise TrainerError(f"quantisation of the {kind}: {bits} bits; only 4 and 8 exist")


def quantise(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """[N,K] to quants int8 [N,K] and scales float32 [N,K/32] that bfloat16 holds exactly.

    What lies on such a grid already stays what it is.
    """
    groups = grouped(weight)
    quants, scales = rounded(groups, bits)
    if bits == 4:
        scales = own_grid(groups, scales)
        quants = (groups / scales).round_().clamp_(INT4_MIN, INT4_MAX)
    return quants.reshape(weight.shape).to(torch.int8), scales.squeeze(-1)


def grouped(weight: Tensor) -> Tensor:
    """[N,K] to float32 [N,K/32,32]."""
    return weight.detach().float().reshape(len(weight), -1, GROUP)


def rounded(groups: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    return int8_groups(groups) if bits == 8 else int4_groups(groups)


def dequantise(quants: Tensor, scales: Tensor) -> Tensor:
    groups = quants.reshape(*scales.shape, GROUP).float() * scales[..., None]
    return groups.reshape(quants.shape)


def straight_through(weight: Tensor, bits: int) -> Tensor:
    """The weight as the image will hold it; its gradient passes as if nothing had been rounded."""
    quants, scales = rounded(grouped(weight.reshape(-1, weight.shape[-1])), bits)
    seen = (quants * scales).reshape(weight.shape)
    return weight + (seen - weight).detach()


def int8_groups(groups: Tensor) -> tuple[Tensor, Tensor]:
    scales = held_by_bfloat16(groups.abs().amax(-1, keepdim=True) / INT8_MAX)
    return (groups / scales).round_().clamp_(-INT8_MAX, INT8_MAX), scales


def int4_groups(groups: Tensor, importance: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The largest weight lands on -8, whichever its sign; of a few scales the one with the least squared error.

    `importance`: how much an error counts, for every weight of a group; all the same when absent.
    """
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    best: tuple[Tensor, Tensor, Tensor] | None = None
    for shrink in INT4_SHRINKS:
        scales = held_by_bfloat16(largest * (shrink / -8))
        quants = (groups / scales).round_().clamp_(INT4_MIN, INT4_MAX)
        errors = (quants * scales - groups).square_()
        error = (errors if importance is None else errors * importance).sum(-1, keepdim=True)
        if best is None:
            best = quants, scales, error
        else:
            better = error < best[2]
            best = tuple(torch.where(better, new, old) for new, old in zip((quants, scales, error), best, strict=True))  # type: ignore[assignment]
    assert best is not None
    return best[0], best[1]


def own_grid(groups: Tensor, scales: Tensor) -> Tensor:
    """For groups that lie on an int4 grid, whatever its largest quant, that grid's scale; `scales` for all others."""
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
    for quant in (*range(INT4_MIN, 0), *range(1, INT4_MAX + 1)):
        own = held_by_bfloat16(largest / quant)
        held = ((groups / own).round_().clamp_(INT4_MIN, INT4_MAX) * own == groups).all(-1, keepdim=True)
        scales = torch.where(held, own, scales)
    return scales


def held_by_bfloat16(scales: Tensor) -> Tensor:
    """Rounded to nearest even; a group of zeros gets scale 1."""
    rounded = scales.to(torch.bfloat16).float()
    return torch.where(rounded == 0, torch.ones_like(rounded), rounded)
