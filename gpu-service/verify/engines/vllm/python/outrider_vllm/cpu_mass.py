"""Which tokens of a row matter under top-p, and how much probability they have, compiled.

Mass: exp((logit - highest) / temperature).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BLOCK = 128
# Rounding in f32 changes a sum by less than this share of it.
ROUGH_ERROR = 1e-4


# Neither a NaN nor a zero's sign matters here.
@njit(fastmath={"nnan", "nsz"})
def highest_of(logits):  # type: ignore[no-untyped-def]
    highest = logits[0]
    for logit in logits:
        highest = max(highest, logit)
    return highest


# Within a block the sum may be taken in any order, so that it runs on vectors.
@njit(fastmath={"reassoc", "contract", "nsz"})
def rough_mass(logits, highest, temperature):  # type: ignore[no-untyped-def]
    """Of all tokens, in f32."""
    total, inverse = 0.0, np.float32(1 / temperature)
    for start in range(0, len(logits), BLOCK):
        some = np.float32(0)
        for logit in logits[start : start + BLOCK]:
            # exp(x) = exp(x / 64)^64; what is below exp(-32) does not count.
            r = max((logit - highest) * inverse, np.float32(-32)) * np.float32(1 / 64)
            e = r * np.float32(1 / 720) + np.float32(1 / 120)
            e = r * (r * (r * e + np.float32(1 / 24)) + np.float32(1 / 6)) + np.float32(0.5)
            e = r * (r * e + np.float32(1)) + np.float32(1)
            e *= e
            e *= e
            e *= e
            e *= e
            e *= e
            e *= e
            some += e
        total += some
    return total


@njit
def exact_masses(logits, ids, highest, temperature):  # type: ignore[no-untyped-def]
    """f64, of each of `ids`; and their sum."""
    masses, total = np.empty(len(ids)), 0.0
    for i in range(len(ids)):
        masses[i] = math.exp((np.float64(logits[ids[i]]) - highest) / temperature)
        total += masses[i]
    return masses, total


@njit
def ids_from(logits, least):  # type: ignore[no-untyped-def]
    """Of the logits of at least `least`, ascending."""
    ids, size = np.empty(len(logits), dtype=np.int32), 0
    for start in range(0, len(logits), BLOCK):
        end = min(start + BLOCK, len(logits))
        hits = 0
        for i in range(start, end):
            hits += logits[i] >= least
        for i in range(start, end if hits else start):
            if logits[i] >= least:
                ids[size] = i
                size += 1
    return ids[:size]


@njit
def likeliest_ids(logits, count):  # type: ignore[no-untyped-def]
    """Of the `count` highest logits, highest first, of equals the lower ids; those of -inf are left out."""
    ids, size, least = np.empty(min(count, len(logits)), dtype=np.int32), 0, np.float32(-np.inf)
    for start in range(0, len(logits), BLOCK):
        end = min(start + BLOCK, len(logits))
        hits = 0
        for i in range(start, end):
            hits += logits[i] > least
        for i in range(start, end if hits else start):
            if logits[i] > least:
                size = min(size + 1, len(ids))
                place = size - 1
                while place > 0 and logits[ids[place - 1]] < logits[i]:
                    ids[place] = ids[place - 1]
                    place -= 1
                ids[place] = i
                if size == len(ids):
                    least = logits[ids[size - 1]]
    return ids[:size]
