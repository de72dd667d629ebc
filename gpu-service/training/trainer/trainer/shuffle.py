"""A random order of any number of things that is never written down: place `i` of it is computed when it is asked for.

A Feistel network over the next even number of bits permutes 0..2^bits - 1; what falls beyond the count is walked on
until it falls inside (Black and Rogaway 2002), so every index below the count comes exactly once.
"""

from __future__ import annotations

ROUNDS = 6
MASK_64 = (1 << 64) - 1


def mixed(value: int) -> int:
    """A hash of 64 bits (splitmix64's finaliser)."""
    value = (value + 0x9E3779B97F4A7C15) & MASK_64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK_64
    return value ^ (value >> 31)


def shuffled(index: int, count: int, seed: int) -> int:
    """The thing at place `index` (0 .. count - 1) of the order that belongs to `seed`."""
    if not 0 <= index < count:
        raise IndexError(f"place {index} of {count}")
    half = max(1, (max(2, count) - 1).bit_length() + 1 >> 1)
    mask = (1 << half) - 1
    keys = [mixed((seed << 8) + turn) for turn in range(ROUNDS)]
    while True:
        left, right = index >> half, index & mask
        for key in keys:
            left, right = right, left ^ (mixed(right ^ key) & mask)
        index = (left << half) | right
        if index < count:
            return index
