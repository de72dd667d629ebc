"""`manifest.json` of a target folder: written last, read to decide what is still to do."""

import json
import os
from pathlib import Path
from typing import Any

from checkpoints.checkpoint import LlamaCheckpoint
from checkpoints.digest import sha256_of
from checkpoints.llama import Llama3Scaling, Rope

FORMAT_VERSION = 1
CONVERTER_VERSION = 1  # raise it when the graphs change: folders of older converters are then made anew
MANIFEST = "manifest.json"
Manifest = dict[str, Any]
Files = dict[str, dict[str, Any]]


def describe(target_id: str, checkpoint: LlamaCheckpoint, tokenizer_sha256: str, formats: dict[str, Any]) -> Manifest:
    """The manifest of a folder that holds `formats`."""
    config = checkpoint.config
    return {
        "format_version": FORMAT_VERSION,
        "kind": "target",
        "id": target_id,
        "converter_version": CONVERTER_VERSION,
        "tokenizer_sha256": tokenizer_sha256,
        "vocab_size": config.vocab_size,
        "layers": config.layers,
        "hidden": config.hidden,
        "heads": config.heads,
        "kv_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "ffn": config.ffn,
        "context": config.context,
        "norm_eps": config.norm_eps,
        "rope": _rope(config.rope),
        "tied": config.tied,
        "bos_id": config.bos_id,
        "eos_ids": list(config.eos_ids),
        "formats": formats,
        "source": dict(checkpoint.source),
    }


def load(folder: Path) -> Manifest | None:
    """The folder's manifest; None when there is none that this converter can go on from."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    current = isinstance(manifest, dict) and manifest.get("converter_version") == CONVERTER_VERSION
    return manifest if current and isinstance(manifest.get("formats"), dict) else None


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step."""
    temporary = folder / (MANIFEST + ".partial")
    temporary.write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
    os.replace(temporary, folder / MANIFEST)


def intact(folder: Path, files: Any) -> bool:
    """True when every file of `files` lies in `folder` with the size and digest stated."""
    if not isinstance(files, dict) or not files:
        return False
    for name, stated in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != stated.get("bytes") or sha256_of(path) != stated.get("sha256"):
            return False
    return True


def entry(path: Path, sha256: str | None = None) -> dict[str, Any]:
    """What a manifest says of one file."""
    return {"sha256": sha256 or sha256_of(path), "bytes": path.stat().st_size}


def _rope(rope: Rope) -> dict[str, Any]:
    if rope.scaling is None:
        return {"theta": rope.theta, "scaling": None}
    if isinstance(rope.scaling, Llama3Scaling):
        return {"theta": rope.theta, "scaling": {"type": "llama3", **vars(rope.scaling)}}
    return {"theta": rope.theta, "scaling": {"type": "factors", "values": list(rope.scaling.values)}}
