"""The seeded draw of one row on a CPU, compiled: one pass, lowest id first, as `protocol/sampling.ts` does it.

A token is hashed only if the largest noise could make it win, and gets a logarithm only if its leading bits could; both
bounds are a little loose, so that rounding cannot lose the winner. Tensor operations would hash every token, many times
over through memory.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numba.cpython.unsafe.numbers import leading_zeros

from outrider_vllm.noise import LOG_COEFFICIENTS, gumbel_of_bits

WORD = np.uint64(0xFFFFFFFF)
TOKEN_FACTOR = np.uint64(0x9E3779B1)
FACTORS = (np.uint64(0x7FEB352D), np.uint64(0x846CA68B))
COEFFICIENTS = np.array(LOG_COEFFICIENTS)
LOW_MANTISSA, LN2 = math.sqrt(2) * 0.5, math.log(2)
MAX_GUMBEL = gumbel_of_bits(0xFFFFFFFF)
# Upper bounds of the noise by the number of leading one bits: u < 1 - 2^-(ones + 1).
BOUNDS = np.array(
    [gumbel_of_bits((1 << 32) - (1 << 31 - ones) - 0.5) + 1e-9 for ones in range(32)] + [MAX_GUMBEL]
)
# Far more than rounding can be, far less than matters for speed.
SLACK = 1e-6


@njit
def _mix(x):  # type: ignore[no-untyped-def]
    x = ((x ^ (x >> np.uint64(16))) * FACTORS[0]) & WORD
    x = ((x ^ (x >> np.uint64(15))) * FACTORS[1]) & WORD
    return x ^ (x >> np.uint64(16))


@njit
def _natural_log(x):  # type: ignore[no-untyped-def]
    mantissa, exponent = math.frexp(x)
    if mantissa < LOW_MANTISSA:
        mantissa *= 2
        exponent -= 1
    t = mantissa - 1
    total = COEFFICIENTS[-1]
    for i in range(len(COEFFICIENTS) - 2, -1, -1):
        total = total * t + COEFFICIENTS[i]
    return total * t + exponent * LN2


@njit
def _score(logit, temperature, bits):  # type: ignore[no-untyped-def]
    u = (np.float64(bits) + 0.5) * 2.0**-32
    return logit / temperature - _natural_log(-_natural_log(u))


@njit
def draw_row(logits, temperature, first, second):  # type: ignore[no-untyped-def]
    """Of f32[vocabulary] the id with the best score; -inf rules an id out. `first`, `second`: the position's key."""
    inverse = 1 / temperature
    best, best_score, least = -1, -np.inf, -np.inf
    for token in range(len(logits)):
        logit = np.float64(logits[token])
        if logit < least or logit == -np.inf:
            continue
        bits = _mix(_mix(((np.uint64(token) * TOKEN_FACTOR) & WORD) ^ first) ^ second)
        ones = leading_zeros(bits ^ WORD) - 32
        if logit * inverse + BOUNDS[ones] + SLACK < best_score:
            continue
        score = _score(logit, temperature, bits)
        if score > best_score:
            best, best_score = token, score
            least = (best_score - MAX_GUMBEL) * temperature - SLACK
    return best
