"""Reads the texts of a source, by its kind, in an order that depends on the given randomness only."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkpoints.outside import public_addresses_only
from trainer.errors import TrainerError
from trainer.licences import of_package, spdx
from trainer.python_source import library_files, read_source

if TYPE_CHECKING:
    from trainer.sources import Source

SUFFIXES = (".py", ".md", ".txt")
STDLIB_LICENCE = "PSF-2.0"
SHUFFLED_AHEAD = 10_000
"""Documents of a stream that are held to be put in another order."""


@dataclass(frozen=True)
class Document:
    path: str
    text: str
    licence: str | None


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
        with public_addresses_only():
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
