"""Where texts come from. A source is written KIND:WHERE?key=value&key=value:

    stdlib                                        the Python standard library of this machine (PSF-2.0)
    folder:/path                                  its .py, .md and .txt files (a bare path means the same)
    archive:/path/to/x.zip                        the same inside a zip, wheel or tar; a text a line in .jsonl(.gz)
    package:NAME                                  the .py files of an installed package; its licence by its metadata
    hub:OWNER/NAME?split=train&text=content       a dataset, streamed by the package `datasets`

Options of every source: `licence=NAME` for the whole of it, `megabytes=N` at most. Of .jsonl and hub: `text=COLUMN`
(default `text`), `licence-key=COLUMN`. Of hub: `config`, `split`, `data_dir`, `files` (local files or a pattern).
"""

from __future__ import annotations

import random
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from trainer.errors import TrainerError
from trainer.licences import spdx
from trainer.source_readers import READERS, Document

ARCHIVES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".jsonl", ".jsonl.gz")
COMMON_OPTIONS = {"licence", "megabytes"}
COLUMN_OPTIONS = {"text", "licence-key"}
OPTIONS = {
    "stdlib": COMMON_OPTIONS,
    "folder": COMMON_OPTIONS,
    "archive": COMMON_OPTIONS | COLUMN_OPTIONS,
    "package": COMMON_OPTIONS,
    "hub": COMMON_OPTIONS | COLUMN_OPTIONS | {"config", "split", "data_dir", "files"},
}


@dataclass(frozen=True)
class Source:
    spec: str
    kind: str
    where: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def licence(self) -> str | None:
        return spdx(self.options["licence"]) if "licence" in self.options else None

    @property
    def limit_bytes(self) -> float:
        return float(self.options["megabytes"]) * 1e6 if "megabytes" in self.options else float("inf")

    def documents(self, seed: int) -> Iterator[Document]:
        """In an order that depends on the seed only. TrainerError names the source and what is wrong with it."""
        try:
            yield from READERS[self.kind](self, random.Random(seed))
        except (OSError, tarfile.TarError, zipfile.BadZipFile, UnicodeDecodeError) as error:
            raise TrainerError(f"corpus source {self.spec}: {error}") from None


def parse_source(spec: str, licence: str | None = None) -> Source:
    """`licence` holds for a source that neither names one nor knows its own."""
    head, _, query = spec.partition("?")
    kind, colon, where = head.partition(":")
    if kind not in OPTIONS or (not colon and kind != "stdlib"):
        kind, where = ("archive" if head.endswith(ARCHIVES) else "folder"), head
    options = dict(parse_qsl(query))
    if unknown := sorted(options.keys() - OPTIONS[kind]):
        raise TrainerError(
            f"corpus source {spec}: unknown option {unknown[0]!r} (a {kind} has {sorted(OPTIONS[kind])})"
        )
    try:
        float(options.get("megabytes", 0))
    except ValueError:
        raise TrainerError(f"corpus source {spec}: megabytes is {options['megabytes']!r}, not a number") from None
    if licence and kind not in ("stdlib", "package"):
        options.setdefault("licence", licence)
    return Source(spec, kind, where, options)
