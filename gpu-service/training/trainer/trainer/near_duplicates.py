"""Texts that are nearly the same as one before: MinHash signatures (Broder 1997), candidates by bands of them.

A text is the set of its runs of five words. The share of equal places in two signatures estimates how much of both
sets is common (Jaccard). Signatures that agree in one whole band are compared; others never are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.word_runs import PRIME, run_hashes, word_hashes, words_of

RUN_WORDS = 5
BANDS = 16
ROWS = 8
PLACES = BANDS * ROWS
RUNS_AT_ONCE = 4096


class NearDuplicates:
    """Remembers signatures: about 2 kB a text."""

    def __init__(self, similar: float) -> None:
        """`similar`: share of common runs from which on a text is a duplicate."""
        self.similar = similar
        r = np.random.default_rng(0)
        self.factors = r.integers(1, int(PRIME), (PLACES, 1), dtype=np.uint64)
        self.offsets = r.integers(0, int(PRIME), (PLACES, 1), dtype=np.uint64)
        self.kept: list[NDArray[np.uint32]] = []
        self.bands: dict[tuple[int, bytes], list[int]] = {}

    def add(self, text: str) -> bool:
        """Is the text new? Only then is it remembered."""
        signature = self.signature(text)
        keys = [(band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]
        candidates = {index for key in keys for index in self.bands.get(key, ())}
        if any(float((self.kept[index] == signature).mean()) >= self.similar for index in candidates):
            return False
        for key in keys:
            self.bands.setdefault(key, []).append(len(self.kept))
        self.kept.append(signature)
        return True

    def signature(self, text: str) -> NDArray[np.uint32]:
        """The smallest value of each of `PLACES` hash functions over the text's runs."""
        hashes = runs(text)
        lowest = np.full(PLACES, int(PRIME), np.uint64)
        for at in range(0, len(hashes), RUNS_AT_ONCE):
            values = (hashes[at : at + RUNS_AT_ONCE][None] * self.factors + self.offsets) % PRIME
            lowest = np.minimum(lowest, values.min(1))
        return lowest.astype(np.uint32)


def runs(text: str) -> NDArray[np.uint64]:
    """A hash of each distinct run of words; of a shorter text, one of the whole."""
    hashes = word_hashes(words_of(text))
    if not len(hashes):
        return np.zeros(1, np.uint64)
    return np.unique(run_hashes(hashes, min(RUN_WORDS, len(hashes))))
