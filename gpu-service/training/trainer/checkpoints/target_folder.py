"""Writing a target folder: complete or not at all, and nothing to do when it is already there and intact."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from checkpoints import manifest as manifests
from checkpoints.checkpoint import LlamaCheckpoint
from checkpoints.digest import sha256_of
from checkpoints.errors import CheckpointError
from checkpoints.graph import WEIGHTS_FILE
from checkpoints.lock import locked
from checkpoints.slots_graph import slots_graph
from checkpoints.weights import write_weights
from checkpoints.weights_file import weights_file

SLOT_COUNTS = (1, 2, 4, 8)
TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
Progress = Callable[[str], None]


def write_target(
    checkpoint: LlamaCheckpoint, models: Path, target_id: str, formats: Sequence[str], progress: Progress
) -> list[str]:
    """Bring `models/target_id` to hold at least `formats`; returns the formats that had to be written.

    A folder of the same source is added to, format by format; any other is replaced as a whole.
    Errors: CheckpointError (a size that a format cannot hold, a full disk, a folder that cannot be written).
    """
    folder = models / target_id
    with _explained(folder), locked(models, target_id):
        manifest = manifests.load(folder)
        if manifest and _same_source(folder, manifest, checkpoint):
            return _add_formats(checkpoint, folder, manifest, formats, progress)
        partial = models / f".{target_id}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _write_tokenizer(checkpoint, partial)
            written = {name: _write_format(checkpoint, partial, name, progress) for name in formats}
            tokenizer_sha256 = sha256_of(partial / TOKENIZER)
            manifests.save(partial, manifests.describe(target_id, checkpoint, tokenizer_sha256, written))
            _replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return list(formats)


def _same_source(folder: Path, manifest: manifests.Manifest, checkpoint: LlamaCheckpoint) -> bool:
    texts = [(TOKENIZER, checkpoint.tokenizer.tokenizer_json)]
    texts.append((TOKENIZER_CONFIG, checkpoint.tokenizer.tokenizer_config_json))
    if checkpoint.tokenizer.chat_template is not None:
        texts.append((CHAT_TEMPLATE, checkpoint.tokenizer.chat_template.encode()))
    return manifest.get("source") == dict(checkpoint.source) and all(
        (folder / name).is_file() and (folder / name).read_bytes() == text for name, text in texts
    )


def _add_formats(
    checkpoint: LlamaCheckpoint, folder: Path, manifest: manifests.Manifest, formats: Sequence[str], progress: Progress
) -> list[str]:
    added = []
    for name in formats:
        stated = manifest["formats"].get(name)
        if stated and manifests.intact(folder / name, stated.get("files")):
            continue
        partial = folder / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            files = _write_format(checkpoint, partial, name, progress)
            _replace(partial / name, folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        manifest["formats"][name] = files
        manifests.save(folder, manifest)
        added.append(name)
    return added


def _write_tokenizer(checkpoint: LlamaCheckpoint, folder: Path) -> None:
    (folder / TOKENIZER).write_bytes(checkpoint.tokenizer.tokenizer_json)
    (folder / TOKENIZER_CONFIG).write_bytes(checkpoint.tokenizer.tokenizer_config_json)
    if checkpoint.tokenizer.chat_template is not None:
        (folder / CHAT_TEMPLATE).write_bytes(checkpoint.tokenizer.chat_template.encode())


def _write_format(
    checkpoint: LlamaCheckpoint, folder: Path, weight_format: str, progress: Progress
) -> dict[str, manifests.Files]:
    """Write `folder/weight_format`; returns what the manifest says of it."""
    place = folder / weight_format
    place.mkdir(parents=True)
    with weights_file(place / WEIGHTS_FILE) as out:
        stored = write_weights(checkpoint, weight_format, out, progress)
        weights_sha256 = out.sha256
    files = {WEIGHTS_FILE: manifests.entry(place / WEIGHTS_FILE, weights_sha256)}
    for slots in SLOT_COUNTS:
        path = place / f"slots-{slots}.onnx"
        path.write_bytes(slots_graph(checkpoint.config, weight_format, slots, stored).SerializeToString())
        files[path.name] = manifests.entry(path)
    return {"files": files}


def _replace(new: Path, place: Path) -> None:
    """Put the finished folder `new` at `place`; what was there goes only once it is out of the way."""
    old = new.with_name(new.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.replace(place, old)
    os.replace(new, place)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free: Any = shutil.disk_usage(folder.parent).free // 1_000_000
            raise CheckpointError(
                f"{folder}: the disk is full ({free} MB free; an int8 folder takes about 1.1 bytes per parameter, "
                f"w8a8 1.3, int4 0.7, fp32 4); nothing was changed there"
            ) from error
        raise CheckpointError(f"{folder}: cannot be written ({error})") from error
