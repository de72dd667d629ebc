"""Cosine and sine tables of rotary position embedding, in the arithmetic of the reference (f32 throughout)."""

import math

import numpy as np

from checkpoints.checkpoint import F32
from checkpoints.llama import FrequencyFactors, Llama3Scaling, Rope


def inverse_frequencies(rope: Rope, head_dim: int) -> F32:
    """f32 [head_dim / 2], scaling applied."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    plain: F32 = 1 / np.power(np.full_like(exponents, rope.theta), exponents)
    match rope.scaling:
        case None:
            return plain
        case FrequencyFactors(values):
            divided: F32 = np.divide(plain, np.asarray(values, np.float32), dtype=np.float32)
            return divided
        case Llama3Scaling() as scaling:
            return _llama3(plain, scaling)


def _llama3(plain: F32, scaling: Llama3Scaling) -> F32:
    """Long waves are slowed by `factor`, short ones kept, those between blended (the Llama 3.1 release's formula)."""
    wavelength = 2 * math.pi / plain
    long_wave = scaling.original_context / scaling.low_freq_factor
    short_wave = scaling.original_context / scaling.high_freq_factor
    span = scaling.high_freq_factor - scaling.low_freq_factor
    blend = (scaling.original_context / wavelength - scaling.low_freq_factor) / span
    mixed = (1 - blend) * plain / scaling.factor + blend * plain
    slowed = np.where(wavelength > long_wave, plain / scaling.factor, mixed)
    frequencies: F32 = np.where(wavelength < short_wave, plain, slowed).astype(np.float32)
    return frequencies


def tables(rope: Rope, head_dim: int, context: int) -> tuple[F32, F32]:
    """(cosines, sines), each f32 [context, head_dim / 2]."""
    positions = np.arange(context, dtype=np.float32)
    angles = np.outer(positions, inverse_frequencies(rope, head_dim))
    return np.cos(angles), np.sin(angles)
