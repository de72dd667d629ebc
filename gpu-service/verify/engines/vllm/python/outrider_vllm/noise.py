"""Seeded Gumbel noise: gumbel(seed, position, token), batched, on the device of the logits.

The same numbers as `gpu-service/protocol/noise.ts`, which defines them: a counter-based hash in 32-bit integers, and a
logarithm in plus, minus and times of f64, so that no platform's math library enters. Each operation is a tensor
operation of its own, so nothing is contracted to a fused multiply-add.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WORD = 0xFFFFFFFF
TOKEN_FACTOR = 0x9E3779B1
MIX_FACTORS = (0x7FEB352D, 0x846CA68B)
# Coefficients of ln(1 + t) / t, lowest power first: as in noise.ts.
LOG_COEFFICIENTS = (
    0.9999999999999963, -0.5000000000004946, 0.33333333333841775, -0.2499999998086471, 0.1999999988325307,
    -0.16666668765633488, 0.14285725060663615, -0.1249990176945347, 0.11110611692525987, -0.10002196083753846,
    0.09103470947315802, -0.08312129993545508, 0.07521087944139143, -0.07147058533854458, 0.07805537805414664,
    -0.07528649486647114, 0.03644535947235508,
)  # fmt: skip


def mix32(x: int) -> int:
    """Finaliser of a 32-bit integer hash (constants "lowbias32", C. Wellons 2018)."""
    x = ((x ^ (x >> 16)) * MIX_FACTORS[0]) & WORD
    x = ((x ^ (x >> 15)) * MIX_FACTORS[1]) & WORD
    return x ^ (x >> 16)


def position_key(seed: int, position: int) -> tuple[int, int]:
    """The key of one position. `seed`: an unsigned 64-bit integer."""
    low, high = seed & WORD, (seed >> 32) & WORD
    first = mix32(mix32(low ^ 0x9E3779B9) ^ mix32((position * 0x85EBCA6B & WORD) ^ high))
    return first, mix32(first ^ mix32(high ^ 0xC2B2AE35) ^ position)


def noise_bits(keys: list[tuple[int, int]], tokens: Tensor) -> Tensor:
    """32 uniform bits as int32[rows, n]. `keys`: one per row; `tokens`: int32[n], or int32[rows, n]."""
    pairs = torch.tensor([[_signed(a), _signed(b)] for a, b in keys], dtype=torch.int32, device=tokens.device)
    bits = (tokens * _signed(TOKEN_FACTOR)) ^ pairs[:, :1]
    _mix(bits)
    bits ^= pairs[:, 1:]
    return _mix(bits)


def gumbel(bits: Tensor) -> Tensor:
    """-ln(-ln u) for u = (bits + ½) / 2³², f64; `bits`: int32, taken as unsigned."""
    u = (_unsigned(bits).to(torch.float64) + 0.5) * 2.0**-32
    return -natural_log(-natural_log(u))


def rough_gumbel(bits: Tensor) -> Tensor:
    """About `gumbel`, in f32: from the complement of u, which is exact where the noise is large (ROUGH_ERROR)."""
    rest = ((bits ^ -1).to(torch.float32) + 0.5).mul_(2.0**-32)
    rest += rest < 0  # the sign bit of int32 stands for one half of 2³²; f32 holds the sum where it is small
    return rest.clamp_(max=1 - 2.0**-24).neg_().log1p_().neg_().log_().neg_()


# How far rough noise may lie below the exact: where u is small f32 has few of its bits. Below 2^-24 it lies above.
ROUGH_ERROR = 0.05


def natural_log(x: Tensor) -> Tensor:
    """Of positive, normal f64: x = m · 2^e with m in [√½, √2), then the polynomial in m - 1."""
    mantissa, exponent = torch.frexp(x)
    is_low = mantissa < math.sqrt(2) * 0.5
    t = torch.where(is_low, mantissa * 2, mantissa) - 1
    exponent = exponent - is_low.to(exponent.dtype)
    total = torch.full_like(t, LOG_COEFFICIENTS[-1])
    for coefficient in reversed(LOG_COEFFICIENTS[:-1]):
        total = total * t
        total = total + coefficient
    scaled = exponent.to(torch.float64) * math.log(2)
    return total * t + scaled


def _mix(x: Tensor) -> Tensor:
    """`mix32` in place; int32 products wrap."""
    x ^= (x >> 16) & 0xFFFF
    x *= MIX_FACTORS[0]
    x ^= (x >> 15) & 0x1FFFF
    x *= _signed(MIX_FACTORS[1])
    x ^= (x >> 16) & 0xFFFF
    return x


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def _unsigned(bits: Tensor) -> Tensor:
    return bits.to(torch.int64) & WORD
