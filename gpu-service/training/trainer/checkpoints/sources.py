"""Where the source of a converted target lies on this machine: training reads its weights again.

The path is kept beside the target's folder, not in its manifest: the same source makes the same folder everywhere.
"""

import os
from collections.abc import Iterable
from pathlib import Path

CACHE = "cache/gguf"
"""In the data folder: where `infra/models` keeps the default target's file."""


def record_source(models: Path, target_id: str, source: Path) -> None:
    """Remember that `models/target_id` was made of `source`."""
    place = _record(models, target_id)
    beside = place.with_name(place.name + ".partial")
    beside.write_text(f"{source.resolve()}\n", encoding="utf-8")
    os.replace(beside, place)


def likely_sources(models: Path, target_id: str, files: Iterable[str]) -> list[Path]:
    """Where to look for the source whose files are called `files`, best first; none of them may be there."""
    cached = [models.resolve().parent / CACHE / name for name in files if name.endswith(".gguf")]
    try:
        recorded = Path(_record(models, target_id).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return cached
    return [recorded, *(path for path in cached if path != recorded)]


def _record(models: Path, target_id: str) -> Path:
    return models / f".{target_id}.source"
