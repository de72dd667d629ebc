"""The seeded draw on a CPU, compiled: exact, though nearly all of it is a rough bound that runs on vectors.

A token gets the exact logarithms only if an upper bound of its noise, which costs next to nothing, could make it win.
What top-p leaves is not looked for: a draw among more tokens is the draw among those that are left if it is one of
them, and otherwise only tokens that are ranked before it can be.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from outrider_vllm.cpu_mass import BLOCK, ROUGH_ERROR, exact_masses, highest_of, ids_from, likeliest_ids, rough_mass
from outrider_vllm.cpu_noise import exact_noise, noise_bits, noise_bound
from outrider_vllm.noise import TOKEN_FACTOR

INFINITY = np.float32(np.inf)
# How many temperatures below the highest logit to look, further only where the tokens there do not suffice.
DEPTHS = (8.0, 16.0, math.inf)


@njit
def draw_rows(logits: Any, settings: Any, keys: Any, tokens: Any) -> None:
    """Writes each row's token.

    `logits`: f32[rows, vocabulary]; `settings`: f64[rows, 4], temperature, top-k, top-p, min-p; `keys`: u32[rows, 2].
    """
    for row in range(len(logits)):
        temperature, top_k, top_p, min_p = settings[row]
        if top_k > 0 or top_p < 1 or min_p > 0:
            tokens[row] = _draw_truncated(logits[row], temperature, int(top_k), top_p, min_p, keys[row])
        else:
            tokens[row] = _best(logits[row], temperature, keys[row])


@njit
def _draw_truncated(logits, temperature, top_k, top_p, min_p, key):  # type: ignore[no-untyped-def]
    highest = highest_of(logits)
    floor = _no_less(highest + temperature * math.log(min_p)) if min_p > 0 else -INFINITY
    limit, slack = math.inf, 0.0
    if top_k > 0:
        ids = likeliest_ids(logits, top_k)
        masses, total = exact_masses(logits, ids, highest, temperature)
        limit = top_p * total if top_p < 1 else math.inf
    elif top_p < 1:
        limit = top_p * rough_mass(logits, highest, temperature)
        slack = limit * ROUGH_ERROR
        ids, masses = _nucleus(logits, limit + slack, floor, highest, temperature)
    else:
        ids = ids_from(logits, floor)
        masses = np.zeros(len(ids))
    while True:
        token = _best_among(ids, logits, floor, temperature, key)
        left, before = _before(ids, masses, logits, token)
        if abs(before - limit) < slack:
            every = np.arange(len(logits), dtype=np.int32)
            limit, slack = top_p * exact_masses(logits, every, highest, temperature)[1], 0.0
        if before < limit:
            return token
        ids, masses = ids[:left], masses[:left]


@njit
def _nucleus(logits, limit, floor, highest, temperature):  # type: ignore[no-untyped-def]
    """All tokens from `floor` on that have less than `limit` of mass before them, and some more; their masses."""
    for depth in DEPTHS:
        least = np.float32(highest - depth * temperature)
        ids = ids_from(logits, max(floor, least))
        masses, total = exact_masses(logits, ids, highest, temperature)
        if least <= floor or total > limit:
            break
    return ids, masses


@njit
def _before(ids, masses, logits, token):  # type: ignore[no-untyped-def]
    """Moves to the front those that are ranked before `token`: how many they are, and their mass."""
    count, total, own = 0, 0.0, logits[token]
    for i in range(len(ids)):
        logit = logits[ids[i]]
        if logit > own or (logit == own and ids[i] < token):
            total += masses[i]
            ids[count], masses[count] = ids[i], masses[i]
            count += 1
    return count, total


@njit
def _best(logits, temperature, key):  # type: ignore[no-untyped-def]
    """The token with the best score, the lowest of equals."""
    first, second, inverse = key[0], key[1], np.float32(1 / temperature)
    best, best_score, least = -1, -np.inf, -INFINITY
    for start in range(0, len(logits), BLOCK):
        end = min(start + BLOCK, len(logits))
        hits, product = 0, np.uint32(start * TOKEN_FACTOR)
        for i in range(start, end):
            hits += logits[i] * inverse + noise_bound(noise_bits(product, first, second)) >= least
            product += TOKEN_FACTOR
        for i in range(start, end if hits else start):
            bits = noise_bits(i * TOKEN_FACTOR, first, second)
            if logits[i] * inverse + noise_bound(bits) >= least:
                score = np.float64(logits[i]) / temperature + exact_noise(bits)
                if score > best_score:
                    best, best_score, least = i, score, _surely_below(score)
    return best


@njit
def _best_among(ids, logits, floor, temperature, key):  # type: ignore[no-untyped-def]
    """The same among those of `ids` that have at least `floor`."""
    inverse = np.float32(1 / temperature)
    best, best_score, least = -1, -np.inf, -INFINITY
    for token in ids:
        logit = logits[token]
        bits = noise_bits(token * TOKEN_FACTOR, key[0], key[1])
        if logit >= floor and logit * inverse + noise_bound(bits) >= least:
            score = np.float64(logit) / temperature + exact_noise(bits)
            if score > best_score or (score == best_score and token < best):
                best, best_score, least = token, score, _surely_below(score)
    return best


@njit
def _surely_below(score):  # type: ignore[no-untyped-def]
    """By far more than rounding in f32 can be, by far less than matters for speed."""
    return np.float32(score - 1e-4 - 1e-6 * abs(score))


@njit
def _no_less(value):  # type: ignore[no-untyped-def]
    """The lowest f32 that is not below an f64."""
    rounded = np.float32(value)
    return rounded if rounded >= value else np.nextafter(rounded, INFINITY)
