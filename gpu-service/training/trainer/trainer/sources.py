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

import gzip
import importlib.metadata
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from trainer.errors import TrainerError
from trainer.licences import of_package, spdx
from trainer.python_source import library_files, read_source

SUFFIXES = (".py", ".md", ".txt")
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
STDLIB_LICENCE = "PSF-2.0"
SHUFFLED_AHEAD = 10_000
"""Documents of a stream that are held to be put in another order."""


@dataclass(frozen=True)
class Document:
    path: str
    text: str
    licence: str | None


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


def read_library(source: Source, r: random.Random) -> Iterator[Document]:
    files = library_files()
    yield from read_files(files[0].parent, files, source.licence or STDLIB_LICENCE, r)


def read_folder(source: Source, r: random.Random) -> Iterator[Document]:
    root = Path(source.where)
    files = sorted(path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not files:
        raise TrainerError(f"corpus source {source.spec}: no {', '.join(SUFFIXES)} files there")
    yield from read_files(root, files, source.licence, r)


def read_package(source: Source, r: random.Random) -> Iterator[Document]:
    try:
        package = importlib.metadata.distribution(source.where)
    except importlib.metadata.PackageNotFoundError:
        raise TrainerError(f"corpus source {source.spec}: the package is not installed") from None
    files = [Path(str(package.locate_file(file))) for file in package.files or [] if file.suffix == ".py"]
    root = Path(str(package.locate_file("")))
    yield from read_files(root, sorted(files), source.licence or of_package(package.metadata), r)


def read_files(root: Path, files: list[Path], licence: str | None, r: random.Random) -> Iterator[Document]:
    r.shuffle(files)
    for path in files:
        if text := read_source(path):
            yield Document(str(path.relative_to(root)) if root in path.parents else path.name, text, licence)


def read_archive(source: Source, r: random.Random) -> Iterator[Document]:
    path = Path(source.where)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from read_lines(source, path)
    elif path.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(SUFFIXES))
            yield from read_members(names, lambda name: archive.read(name), source, r)
    else:
        with tarfile.open(path) as tar:
            members = {m.name: m for m in tar.getmembers() if m.isfile() and m.name.endswith(SUFFIXES)}

            def read(name: str) -> bytes:
                file = tar.extractfile(members[name])
                return file.read() if file else b""

            yield from read_members(sorted(members), read, source, r)


def read_members(
    names: list[str], read: Callable[[str], bytes], source: Source, r: random.Random
) -> Iterator[Document]:
    r.shuffle(names)
    for name in names:
        try:
            yield Document(name, read(name).decode("utf-8"), source.licence)
        except UnicodeDecodeError:
            continue


def read_lines(source: Source, path: Path) -> Iterator[Document]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise TrainerError(f"corpus source {source.spec}: line {number} is not JSON: {error}") from None
            yield of_row(row, f"{path.name}:{number}", source)


def read_hub(source: Source, r: random.Random) -> Iterator[Document]:
    try:
        import datasets
    except ImportError:
        raise TrainerError(
            f"corpus source {source.spec} needs the package datasets: pip install -r requirements-corpus.txt"
        ) from None
    options = source.options
    wanted = {"data_dir": options.get("data_dir"), "data_files": options.get("files")}
    try:
        stream = datasets.load_dataset(
            source.where,
            options.get("config"),
            split=options.get("split", "train"),
            streaming=True,
            **{key: value for key, value in wanted.items() if value is not None},
        ).shuffle(seed=r.getrandbits(31), buffer_size=SHUFFLED_AHEAD)
        for number, row in enumerate(stream, 1):
            yield of_row(row, f"{source.where}:{number}", source)
    except (ValueError, datasets.exceptions.DatasetsError) as error:
        raise TrainerError(f"corpus source {source.spec}: {error}") from None


def of_row(row: Any, name: str, source: Source) -> Document:
    column = source.options.get("text", "text")
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        there = ", ".join(row) if isinstance(row, dict) else "no columns"
        raise TrainerError(f"corpus source {source.spec}: {name} has no text in column {column!r} (there are {there})")
    licence = source.licence
    if key := source.options.get("licence-key"):
        said = row.get(key)
        names = said if isinstance(said, list) else [said] if said else []
        licence = " AND ".join(spdx(str(name)) for name in names) or None
    return Document(name, row[column], licence)


READERS: dict[str, Callable[[Source, random.Random], Iterator[Document]]] = {
    "stdlib": read_library,
    "folder": read_folder,
    "archive": read_archive,
    "package": read_package,
    "hub": read_hub,
}
