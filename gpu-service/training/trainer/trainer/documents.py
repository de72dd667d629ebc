"""documents.jsonl, {"path", "text", "licence"} a line: written once, read anywhere in it, never held in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from trainer.errors import TrainerError

DOCUMENTS_FILE = "documents.jsonl"
OFFSETS_FILE = "documents.offsets.npy"


class Documents(Sequence[str]):
    """The texts of a corpus, mapped into memory; each is decoded when it is asked for."""

    def __init__(self, folder: Path) -> None:
        path = folder / DOCUMENTS_FILE
        if not path.exists():
            raise TrainerError(f"{folder}: {DOCUMENTS_FILE} is missing: run stage `corpus` first")
        self.bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        known = folder / OFFSETS_FILE
        self.offsets: NDArray[np.int64] = np.load(known, mmap_mode="r") if known.exists() else line_starts(self.bytes)
        if int(self.offsets[-1]) != len(self.bytes):
            raise TrainerError(f"{known} does not belong to {path}: remove it")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def entry(self, index: int) -> dict[str, Any]:
        """The whole line."""
        line: dict[str, Any] = json.loads(self.bytes[self.offsets[index] : self.offsets[index + 1]].tobytes())
        return line

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return str(self.entry(index % len(self))["text"])


def line_starts(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where each line begins, and where the last one ends."""
    ends = np.flatnonzero(data == ord("\n")).astype(np.int64) + 1
    return np.concatenate((np.zeros(1, np.int64), ends))


def write_documents(folder: Path, entries: Iterator[dict[str, Any]]) -> tuple[int, int, str]:
    """Write one line per entry as they come, whole or not at all. Returns documents, bytes and the file's sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{DOCUMENTS_FILE}.part"
    digest, offsets = hashlib.sha256(), [0]
    with beside.open("wb") as file:
        for entry in entries:
            line = json.dumps(entry).encode() + b"\n"
            file.write(line)
            digest.update(line)
            offsets.append(offsets[-1] + len(line))
    (folder / OFFSETS_FILE).unlink(missing_ok=True)
    os.replace(beside, folder / DOCUMENTS_FILE)
    part = folder / f".{OFFSETS_FILE}.part.npy"
    np.save(part, np.array(offsets, np.int64))
    os.replace(part, folder / OFFSETS_FILE)
    return len(offsets) - 1, offsets[-1], digest.hexdigest()
