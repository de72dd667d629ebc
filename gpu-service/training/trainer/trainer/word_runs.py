"""Runs of words as numbers: what de-duplication and decontamination compare texts by."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

PRIME = np.uint64((1 << 31) - 1)
FACTOR = np.uint64(1_000_003)
WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Case folded, without what stands between them."""
    return WORD.findall(text.lower())


def word_hashes(words: list[str]) -> NDArray[np.uint64]:
    return np.array([zlib.crc32(word.encode()) for word in words], np.uint64)


def run_hashes(hashes: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """A hash below 2^31 of every run of `length` words, [words - length + 1]; none where the text is shorter."""
    count = len(hashes) - length + 1
    if count < 1:
        return np.zeros(0, np.uint64)
    total = np.zeros(count, np.uint64)
    for place in range(length):
        total = (total * FACTOR + hashes[place : place + count]) % PRIME
    return total
