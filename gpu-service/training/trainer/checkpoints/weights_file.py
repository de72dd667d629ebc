"""The file `weights.bin`: tensors one behind another, 64-byte aligned, so that they can be mapped as they lie."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

ALIGNMENT_BYTES = 64


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies in `weights.bin`; `name` is its initializer's."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int

    def seen_as(self, name: str, shape: tuple[int, ...]) -> "Stored":
        """The same bytes under another name and shape."""
        return replace(self, name=name, shape=shape)


class WeightsWriter:
    """Appends tensors and knows the file's digest without a second pass."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._at = 0

    def add(self, name: str, array: NDArray[np.generic]) -> Stored:
        """Write `array` at the next aligned offset."""
        self._write(bytes(-self._at % ALIGNMENT_BYTES))
        stored = Stored(name, str(array.dtype), array.shape, self._at, array.nbytes)
        self._write(np.ascontiguousarray(array).data.cast("B"))
        return stored

    @property
    def sha256(self) -> str:
        """Of everything written so far."""
        return self._digest.hexdigest()

    @property
    def size_bytes(self) -> int:
        """Of everything written so far."""
        return self._at

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._at += len(data)


@contextmanager
def weights_file(path: Path) -> Iterator[WeightsWriter]:
    """Open `path` for writing."""
    with path.open("wb") as file:
        yield WeightsWriter(file)
