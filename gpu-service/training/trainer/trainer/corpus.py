"""Stage `corpus`: raw text into documents.jsonl ({"path", "text"} a line) and a manifest.

Sources: `stdlib`, the Python standard library of this machine (PSF-2.0), or a folder of .py, .md and .txt files.
Exact duplicates are dropped, and whatever shares a run of words with an evaluation set.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

from trainer.decontaminate import against_humaneval
from trainer.errors import TrainerError
from trainer.folders import sha256, write_text
from trainer.progress import Progress
from trainer.python_source import library_files, read_source

DOCUMENTS_FILE = "documents.jsonl"
MANIFEST_FILE = "manifest.json"
SUFFIXES = (".py", ".md", ".txt")
STDLIB_LICENCE = "PSF-2.0"


def source_files(source: str) -> tuple[Path, list[Path]]:
    if source == "stdlib":
        files = library_files()
        return files[0].parent, files
    root = Path(source)
    files = sorted(path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not files:
        raise TrainerError(f"corpus source {source}: no {', '.join(SUFFIXES)} files there")
    return root, files


def documents(files: list[Path], limit_bytes: int) -> Iterator[tuple[Path, str]]:
    """Clean, distinct texts until `limit_bytes` of them are there."""
    clean = against_humaneval().clean
    seen: set[bytes] = set()
    total = 0
    for path in files:
        text = read_source(path)
        if not text:
            continue
        digest = hashlib.sha256(text.encode()).digest()
        if digest in seen or not clean(text):
            continue
        seen.add(digest)
        yield path, text
        total += len(text.encode())
        if total >= limit_bytes:
            return


def read_documents(folder: Path) -> list[str]:
    path = folder / DOCUMENTS_FILE
    if not path.exists():
        raise TrainerError(f"{folder}: {DOCUMENTS_FILE} is missing: run stage `corpus` first")
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", default="stdlib", help="`stdlib`, or a folder")
    parser.add_argument("--licence", help="licence of a folder's texts, for the record")
    parser.add_argument("--megabytes", type=float, default=1000.0, help="stop after so much text")
    parser.add_argument("--seed", type=int, default=0, help="order of the files")
    parser.add_argument("--out", type=Path, required=True)


def main(args: argparse.Namespace, progress: Progress) -> None:
    root, files = source_files(args.source)
    random.Random(args.seed).shuffle(files)
    lines = [
        json.dumps({"path": path.name if root not in path.parents else str(path.relative_to(root)), "text": text})
        for path, text in documents(files, int(args.megabytes * 1e6))
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / DOCUMENTS_FILE, "\n".join(lines) + "\n")
    manifest = {
        "source": args.source,
        "licence": STDLIB_LICENCE if args.source == "stdlib" else args.licence,
        "documents": len(lines),
        "bytes": (args.out / DOCUMENTS_FILE).stat().st_size,
        "sha256": sha256(args.out / DOCUMENTS_FILE),
    }
    write_text(args.out / MANIFEST_FILE, json.dumps(manifest, indent=2) + "\n")
    progress.say(f"{len(lines)} documents, {manifest['bytes']:,} bytes")
