"""The seeded noise that target and draft share, as `gpu-service/protocol/noise.ts` defines it.

Added to logits, its argmax is a draw from their softmax. The integers are the edge's own; the noise agrees within 1e-6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Word = np.uint32
Words = NDArray[Word]


def mix32(x: Words) -> Words:
    x = (x ^ (x >> Word(16))) * Word(0x7FEB352D)
    x = (x ^ (x >> Word(15))) * Word(0x846CA68B)
    return x ^ (x >> Word(16))


def gumbel(seed: int, positions: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.float32]:
    """[positions, ids]; `seed`: an unsigned 64-bit integer; positions count prompt and output from 0."""
    low, high = (np.array([word & 0xFFFFFFFF], Word) for word in (seed, seed >> 32))
    at = positions.astype(Word)
    first = mix32(mix32(low ^ Word(0x9E3779B9)) ^ mix32((at * Word(0x85EBCA6B)) ^ high))
    second = mix32(first ^ mix32(high ^ Word(0xC2B2AE35)) ^ at)
    bits = mix32(mix32((ids.astype(Word) * Word(0x9E3779B1)) ^ first[:, None]) ^ second[:, None])
    uniform = (bits.astype(np.float64) + 0.5) / 2**32
    noise: NDArray[np.float32] = -np.log(-np.log(uniform)).astype(np.float32)
    return noise
