"""Corpora: where texts come from, what is dropped and why, and the shards made of them."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trainer.corpus import add_arguments, main
from trainer.decontaminate import Decontamination
from trainer.documents import Documents
from trainer.errors import TrainerError
from trainer.evaluation_sets import evaluation_sets
from trainer.progress import Progress
from trainer.recipe import RaisingParser
from trainer.token_shards import read_shards, shard_path
from trainer.tokenize import train_tokenizer, write_shards, write_tokenizer
from trainer.vocabulary import Vocabulary

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "mix",
    "strange",
    "potions",
    "in",
    "tall",
    "glass",
    "towers",
]


def prose(seed: int, words: int = 120) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def run(out: Path, *words: object) -> dict:
    parser = RaisingParser()
    add_arguments(parser)
    main(parser.parse_args([*map(str, words), "--out", str(out)]), Progress("corpus"))
    return json.loads((out / "manifest.json").read_text())


def texts(out: Path) -> list[str]:
    return list(Documents(out))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "texts"
    (made / "deep").mkdir(parents=True)
    for seed in range(6):
        (made / "deep" / f"{seed}.txt").write_text(prose(seed))
    (made / "again.md").write_text(prose(0))
    (made / "nearly.txt").write_text(prose(1) + " once more")
    (made / "blank.py").write_text("  \n")
    (made / "picture.png").write_bytes(b"\x89PNG")
    return made


def test_a_folder_without_duplicates(folder: Path, tmp_path: Path) -> None:
    manifest = run(tmp_path / "out", "--source", folder, "--licence", "mit")
    assert (manifest["documents"], manifest["licence"]) == (6, "MIT")
    (source,) = manifest["sources"]
    assert source["dropped"] == {"duplicate": 1, "empty": 1, "near duplicate": 1}
    assert source["licences"] == {"MIT": 6}
    assert len(texts(tmp_path / "out")) == 6
    near = run(tmp_path / "near", "--source", folder, "--near-duplicates", 0)
    assert near["documents"] == 7


def test_the_same_seed_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    digests = [
        run(tmp_path / name, "--source", folder, "--seed", seed)["sha256"]
        for name, seed in zip("abc", (1, 1, 2), strict=True)
    ]
    assert digests[0] == digests[1] != digests[2]


def archived(folder: Path, path: Path) -> Path:
    files = sorted(file for file in folder.rglob("*.txt"))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        rows = "".join(json.dumps({"content": file.read_text()}) + "\n" for file in files).encode()
        path.write_bytes(gzip.compress(rows) if path.suffix == ".gz" else rows)
    else:
        with tarfile.open(path, f"w:{path.suffix[1:]}") as tar:
            for file in files:
                data = file.read_bytes()
                entry = tarfile.TarInfo(file.name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz", "a.jsonl", "a.jsonl.gz"])
def test_archives_hold_what_the_folder_holds(name: str, folder: Path, tmp_path: Path) -> None:
    spec = f"{archived(folder, tmp_path / name)}{'?text=content' if 'jsonl' in name else ''}"
    assert run(tmp_path / "out", "--source", spec)["documents"] == 6
    assert sorted(texts(tmp_path / "out"))[0] == min(prose(seed) for seed in range(6))


def test_a_dataset_is_streamed_and_filtered_by_licence(tmp_path: Path) -> None:
    """The same code reads a hub name; here the package `datasets` is given files."""
    pytest.importorskip("datasets")
    licences = [["MIT"], ["GPL-3.0-only"], ["MIT", "Apache-2.0"], [], ["MIT", "GPL-3.0-only"], ["apache 2.0"]]
    rows = [{"content": prose(seed), "licences": names} for seed, names in enumerate(licences)]
    (tmp_path / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = f"hub:json?files={tmp_path / 'part.jsonl'}&text=content&licence-key=licences"
    manifest = run(tmp_path / "out", "--source", spec, "--licences", "permissive")
    (source,) = manifest["sources"]
    assert source["licences"] == {"Apache-2.0": 1, "MIT": 1, "MIT AND Apache-2.0": 1}
    assert source["dropped"] == {"licence": 3}
    with pytest.raises(TrainerError, match="no text in column 'text'"):
        run(tmp_path / "out", "--source", f"hub:json?files={tmp_path / 'part.jsonl'}")


def test_packages_bring_their_licence(tmp_path: Path) -> None:
    manifest = run(tmp_path / "out", "--source", "package:Jinja2", "package:packaging?megabytes=0.05")
    first, second = manifest["sources"]
    assert first["licences"] == {"BSD-3-Clause": first["documents"]} or "BSD" in str(first["licences"])
    assert first["documents"] > 10
    assert 50_000 <= second["bytes"] < 200_000
    with pytest.raises(TrainerError, match="package:no-such: the package is not installed"):
        run(tmp_path / "none", "--source", "package:no-such")


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("/no/such/folder", "no .py"),
        ("archive:/no/such.zip", "No such file"),
        ("stdlib?colour=red", "unknown option 'colour'"),
        ("stdlib?megabytes=many", "'many'"),
    ],
)
def test_faults_of_sources(spec: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=named):
        run(tmp_path, "--source", spec)


def test_every_evaluation_set_is_kept_out(folder: Path, tmp_path: Path) -> None:
    sets = evaluation_sets([])
    assert len(sets["HumanEval"]) == 164
    assert sets["held-out questions"]
    (folder / "leak.md").write_text("So asked: " + sets["held-out questions"][3] + " And " + prose(50))
    (folder / "mine.txt").write_text("Before. " + prose(77, 14) + " After all of " + prose(51))
    (tmp_path / "mine.jsonl").write_text(json.dumps({"prompt": prose(77, 14)}) + "\n")
    manifest = run(tmp_path / "out", "--source", folder, "--against", tmp_path / "mine.jsonl")
    assert manifest["sources"][0]["dropped"]["evaluation"] == 2
    assert manifest["kept_out"]["mine.jsonl"] == 1
    clean = Decontamination(["one two three four five six"]).clean
    assert not clean("zero ONE two, three: four five six seven")
    assert clean("one two three four five seven six")
    assert Decontamination(["0 0 0 0 0 0 1 0 0 0 0 0"]).clean("0 0 0 0 0 0 1 0 0 0 0 0"), "numbers are everywhere"
    assert Decontamination(["only four words here"]).clean("only four words here"), "too short to mean anything"


def test_documents_are_read_from_anywhere(tmp_path: Path, folder: Path) -> None:
    run(tmp_path / "out", "--source", folder)
    documents = Documents(tmp_path / "out")
    with_offsets = list(documents)
    (tmp_path / "out/documents.offsets.npy").unlink()
    assert list(Documents(tmp_path / "out")) == with_offsets
    assert documents[-1] == with_offsets[-1]
    assert list(documents[1:3]) == with_offsets[1:3]
    with pytest.raises(IndexError):
        documents[6]
    with pytest.raises(TrainerError, match="run stage `corpus` first"):
        Documents(tmp_path)


def test_shards_are_written_once_and_gone_on_with(tmp_path: Path, folder: Path) -> None:
    run(tmp_path / "corpus", "--source", folder)
    documents = Documents(tmp_path / "corpus")
    write_tokenizer(tmp_path, train_tokenizer(documents, 300))
    vocabulary = Vocabulary.read(tmp_path)
    write_shards(documents, vocabulary, 4, tmp_path, Progress("tokenize"))
    shards = read_shards(tmp_path)
    assert [shard.dtype for shard in shards] == [np.uint16, np.uint16]
    whole = [i for text in documents for i in [*vocabulary.encode(text), 0]]
    assert np.concatenate(shards).tolist() == whole
    kept = shard_path(tmp_path, 0).stat().st_mtime_ns
    shard_path(tmp_path, 1).unlink()
    write_shards(documents, vocabulary, 4, tmp_path, Progress("tokenize"))
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == kept
    assert np.concatenate(read_shards(tmp_path)).tolist() == whole
