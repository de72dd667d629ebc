"""A recipe's target: its Hugging Face folder, made where there is only what the verifier loads.

`infra/models` keeps of a target the verifier's graphs, and remembers the GGUF file or folder that they were made of.
Training needs the weights as such: they are read from that source again, once, into `hf` inside the target's folder.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from checkpoints.lock import locked
from checkpoints.sources import likely_sources
from trainer.checkpoint import CONFIG_FILE
from trainer.convert import read_source, write_folder
from trainer.errors import TrainerError
from trainer.progress import Progress

MADE_FOLDER = "hf"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class Target:
    folder: Path
    """Its Hugging Face folder."""
    converted: Path | None = None
    """The verifier's folder of it, where `folder` may be yet to be made."""


def find_target(target: str, roots: list[Path]) -> Target:
    """By the path of a folder, or by an id under one of the model roots. TrainerError says where it was looked for."""
    places = [*([Path(target)] if "/" in target else []), *(root / target for root in roots)]
    candidates = [place / part for place in places for part in ("", MADE_FOLDER, "target")]
    for candidate in candidates:
        if (candidate / CONFIG_FILE).is_file():
            return Target(candidate)
    for place in places:
        if (place / MANIFEST_FILE).is_file():
            return Target(place / MADE_FOLDER, place)
    raise TrainerError(
        f"no Hugging Face folder of target {target!r} at: {', '.join(map(str, candidates))}, and none that the "
        f"verifier loads either (npm run models -- list)"
    )


def make_folder(target: Target, progress: Progress) -> None:
    """Make the Hugging Face folder, whole or not at all, where it is not there yet. Errors: TrainerError."""
    if target.converted is None:
        return
    models, target_id = target.converted.parent, target.converted.name
    try:
        with locked(models, target_id):
            if not (target.folder / CONFIG_FILE).is_file():
                _make(target.folder, target.converted, progress)
    except (OSError, SafetensorError) as error:
        raise TrainerError(f"{target.folder} could not be made: {error}") from None


def _make(folder: Path, converted: Path, progress: Progress) -> None:
    files = _source_files(converted)
    source = _find_source(converted, files)
    progress.say(f"{progress.stage}: making {folder} of {source}, once")
    checkpoint = read_source(source, converted)
    if checkpoint.source["files"] != files:
        raise TrainerError(f"{source} is not what target {converted.name} was made of any more; {_remedy(converted)}")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write_folder(checkpoint, partial, progress)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _source_files(converted: Path) -> dict[str, str]:
    """Name -> sha256 of the files that the target was made of."""
    path = converted / MANIFEST_FILE
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["source"]["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainerError(f"{path} is not a target's manifest ({error!r})") from None


def _find_source(converted: Path, files: dict[str, str]) -> Path:
    likely = likely_sources(converted.parent, converted.name, files)
    for path in likely:
        if path.exists():
            return path
    looked = f"looked at: {', '.join(map(str, likely))}" if likely else "its path was not recorded"
    raise TrainerError(
        f"target {converted.name} has no Hugging Face folder, and the source that it was made of "
        f"({', '.join(files)}) is gone ({looked}); {_remedy(converted)}"
    )


def _remedy(converted: Path) -> str:
    return (
        f"bring it back with: npm run models -- default (the default target), or "
        f"npm run models -- add SOURCE --id {converted.name} (any other)"
    )
