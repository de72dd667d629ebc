"""Stage `export`: a draft folder into a release: model.draft, tokenizer.json and, last, manifest.unsigned.json."""

from __future__ import annotations

import argparse
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checkpoints.digest import sha256_of
from trainer.checkpoint import read_model
from trainer.evaluate import ACCEPTANCE_FILE
from trainer.folders import write_text
from trainer.image import write_image
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.vocabulary import TOKENIZER_FILE, read_json

FORMAT_VERSION = 1
IMAGE_FILE = "model.draft"
UNSIGNED_MANIFEST_FILE = "manifest.unsigned.json"


def file_entry(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size}


def words_for(quantisation: Quantisation) -> str:
    return ", ".join(f"int{bits} {kind}" for kind, bits in vars(quantisation).items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draft", type=Path, required=True, help="folder of the draft")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--target-id", required=True, help="the id that the target is served under")
    parser.add_argument("--acceptance", type=Path, required=True, help="folder of stage `evaluate`")
    parser.add_argument("--lineage", type=Path, help="JSON file: recipe, seed, data, parent, commit")
    parser.add_argument("--body-bits", type=int, default=8)
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True, help="release folder")


def main(args: argparse.Namespace, progress: Progress) -> None:
    draft = read_model(args.draft)
    quantisation = Quantisation(args.body_bits, args.embedding_bits, args.head_bits)
    args.out.mkdir(parents=True, exist_ok=True)
    write_image(draft, quantisation, args.out / IMAGE_FILE)
    shutil.copyfile(args.target / TOKENIZER_FILE, args.out / TOKENIZER_FILE)
    files = {name: file_entry(args.out / name) for name in (IMAGE_FILE, TOKENIZER_FILE)}
    lineage = {"recipe": "by hand", "parent": None, **(read_json(args.lineage) if args.lineage else {})}
    manifest = {
        "format_version": FORMAT_VERSION,
        "kind": "draft",
        "id": f"{lineage['recipe']}-{files[IMAGE_FILE]['sha256'][:12]}".replace(" ", "-"),
        "target": args.target_id,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "files": files,
        "tokenizer_sha256": files[TOKENIZER_FILE]["sha256"],
        "vocab_size": draft.c.vocab,
        "head_rows": draft.c.head_rows or draft.c.vocab,
        "context": draft.c.context,
        "quantisation": words_for(quantisation),
        "memory_bytes": files[IMAGE_FILE]["bytes"],
        "lineage": lineage,
        "acceptance": read_json(args.acceptance / ACCEPTANCE_FILE),
    }
    write_text(args.out / UNSIGNED_MANIFEST_FILE, json.dumps(manifest, indent=2) + "\n")
    progress.say(f"{manifest['id']}: {manifest['memory_bytes']:,} bytes, {manifest['quantisation']}")
