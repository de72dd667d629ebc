"""Rotary position tables, with the `llama3` stretching of low frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's rule: wavelengths beyond the original context are stretched by `factor`, short ones kept."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class Rope:
    theta: float = 10_000.0
    scaling: RopeScaling | None = None


def frequencies(rope: Rope, head_dim: int) -> Tensor:
    """Radians per position of each of the head_dim / 2 pairs, float32."""
    plain = 1.0 / rope.theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    s = rope.scaling
    if s is None:
        return plain
    turns = s.original_context * plain / (2 * math.pi)
    smooth = ((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)).clamp(0, 1)
    return (1 - smooth) * plain / s.factor + smooth * plain


def rotary_tables(rope: Rope, head_dim: int, context: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each [context, head_dim]."""
    angles = torch.outer(torch.arange(context, dtype=torch.float32), frequencies(rope, head_dim))
    angles = torch.cat((angles, angles), -1)
    return angles.cos(), angles.sin()
