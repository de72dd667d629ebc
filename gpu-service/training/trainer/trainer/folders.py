"""Writing that survives a kill: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data)
    os.replace(beside, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))
