"""The ids of a corpus in shards (tokens-00000.npy and so on), mapped into memory, and windows of them in random order.

Which windows a step trains on depends on nothing but the seed and the step: an epoch takes every window once, in an
order of its own, and a run that was cut off goes on in the middle of it without anything having been remembered.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainerError
from trainer.shuffle import mixed, shuffled

PATTERN = "tokens-*.npy"


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"tokens-{index:05d}.npy"


def write_shard(path: Path, ids: list[int], vocab: int) -> None:
    """Whole or not at all; two bytes an id where the vocabulary allows."""
    beside = path.with_name(f".{path.stem}.part.npy")
    np.save(beside, np.array(ids, np.uint16 if vocab <= 1 << 16 else np.int32))
    os.replace(beside, path)


def read_shards(folder: Path) -> list[NDArray[np.generic]]:
    """Ids [tokens] of each shard."""
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        raise TrainerError(f"{folder}: {PATTERN} is missing: run stage `tokenize` first")
    return [np.load(path, mmap_mode="r") for path in paths]


@dataclass(frozen=True)
class Windows:
    """Window number to ids [sequence + 1]; windows of one shard share no token but the last, which is only a target."""

    shards: list[NDArray[np.generic]]
    sequence: int
    seed: int

    def __post_init__(self) -> None:
        if not self.per_epoch:
            longest = max(len(shard) for shard in self.shards)
            raise TrainerError(f"the longest shard of the corpus has {longest} ids; a window needs {2 * self.sequence}")

    @property
    def per_epoch(self) -> int:
        return self.ends[-1]

    @property
    def ends(self) -> list[int]:
        """Windows up to and with each shard; the room for an epoch's shift is left out."""
        return list(accumulate(max(0, (len(shard) - 1) // self.sequence - 1) for shard in self.shards))

    def at(self, number: int) -> NDArray[np.int64]:
        """Window `number` of the whole training, counted through its epochs."""
        epoch, place = divmod(number, self.per_epoch)
        index = shuffled(place, self.per_epoch, mixed(self.seed) + epoch)
        shard = bisect_right(self.ends, index)
        inside = index - (self.ends[shard - 1] if shard else 0)
        # Epochs cut the text at other places.
        start = inside * self.sequence + mixed(mixed(self.seed) ^ epoch) % self.sequence
        return self.shards[shard][start : start + self.sequence + 1].astype(np.int64)
