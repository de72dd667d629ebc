"""Stage `corpus`: raw text into documents.jsonl ({"path", "text", "licence"} a line), and a manifest of it.

Dropped are texts of other licences than `--licences`, exact and near duplicates, and whatever shares a run of words
with an evaluation set. The manifest counts, for each source, what was kept and what was dropped, and why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.decontaminate import Decontamination
from trainer.documents import write_documents
from trainer.evaluation_sets import evaluation_sets
from trainer.folders import write_text
from trainer.licences import allowed, expand
from trainer.near_duplicates import NearDuplicates
from trainer.progress import Progress
from trainer.source_readers import Document
from trainer.sources import Source, parse_source

MANIFEST_FILE = "manifest.json"


@dataclass
class Account:
    """What became of a source's documents."""

    documents: int = 0
    bytes: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def keep(self, document: Document) -> None:
        self.documents += 1
        self.bytes += len(document.text.encode())
        self.licences[document.licence or "unknown"] += 1


class Filter:
    """Says of each document why it is dropped, or None."""

    def __init__(self, licences: list[str], similar: float, evaluation: Decontamination) -> None:
        self.licences = expand(licences)
        self.near = NearDuplicates(similar) if similar else None
        self.evaluation = evaluation
        self.seen: set[bytes] = set()

    def reason(self, document: Document) -> str | None:
        if not document.text.strip():
            return "empty"
        if self.licences and not allowed(document.licence, self.licences):
            return "licence"
        digest = hashlib.sha256(document.text.encode()).digest()
        if digest in self.seen:
            return "duplicate"
        self.seen.add(digest)
        if not self.evaluation.clean(document.text):
            return "evaluation"
        if self.near and not self.near.add(document.text):
            return "near duplicate"
        return None


def gather(
    sources: list[Source], accounts: list[Account], dropping: Filter, limit_bytes: float, seed: int
) -> Iterator[Document]:
    """What is kept, source after source, until each has given its share or all together `limit_bytes`."""
    for source, account in zip(sources, accounts, strict=True):
        for document in source.documents(seed):
            if reason := dropping.reason(document):
                account.dropped[reason] += 1
                continue
            account.keep(document)
            yield document
            if sum(a.bytes for a in accounts) >= limit_bytes:
                return
            if account.bytes >= source.limit_bytes:
                break


def manifest_of(sources: list[Source], accounts: list[Account]) -> dict[str, Any]:
    licences = sum((account.licences for account in accounts), Counter[str]())
    return {
        "licence": ", ".join(sorted(licences)),
        "sources": [
            {
                "source": source.spec,
                "documents": account.documents,
                "bytes": account.bytes,
                "licences": dict(sorted(account.licences.items())),
                "dropped": dict(sorted(account.dropped.items())),
            }
            for source, account in zip(sources, accounts, strict=True)
        ],
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", nargs="+", default=["stdlib"], help="KIND:WHERE?options, in order (docs/training.md)"
    )
    parser.add_argument("--licence", help="of the sources that name none")
    parser.add_argument("--licences", nargs="+", default=[], help="allowed ones; `permissive` is a list (default: any)")
    parser.add_argument("--near-duplicates", type=float, default=0.8, help="drop texts as similar as this; 0: none")
    parser.add_argument("--against", type=Path, nargs="+", default=[], help="further evaluation sets: files")
    parser.add_argument("--megabytes", type=float, default=float("inf"), help="stop after so much text")
    parser.add_argument("--seed", type=int, default=0, help="order of the documents")
    parser.add_argument("--out", type=Path, required=True)


def main(args: argparse.Namespace, progress: Progress) -> None:
    sources = [parse_source(spec, args.licence) for spec in args.source]
    accounts = [Account() for _ in sources]
    evaluation = evaluation_sets(args.against)
    dropping = Filter(args.licences, args.near_duplicates, Decontamination(t for of in evaluation.values() for t in of))
    kept = gather(sources, accounts, dropping, args.megabytes * 1e6, args.seed)
    count, size, digest = write_documents(args.out, (vars(document) for document in kept))
    manifest = {
        "documents": count,
        "bytes": size,
        "sha256": digest,
        "seed": args.seed,
        "licences_allowed": args.licences or "any",
        "near_duplicates": args.near_duplicates,
        "kept_out": {name: len(texts) for name, texts in evaluation.items()},
        **manifest_of(sources, accounts),
    }
    write_text(args.out / MANIFEST_FILE, json.dumps(manifest, indent=2) + "\n")
    dropped = sum((account.dropped for account in accounts), Counter[str]())
    progress.say(f"{count} documents, {size:,} bytes; dropped: {dict(sorted(dropped.items())) or 'none'}")
