"""Corpora: where texts come from, what is dropped and why, and windows of ids that every epoch takes once."""

import gzip
import io
import json
import math
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer.corpus import add_arguments, main
from trainer.decontaminate import Decontamination
from trainer.documents import Documents
from trainer.errors import TrainerError
from trainer.evaluation_sets import evaluation_sets
from trainer.licences import PERMISSIVE, allowed, expand, spdx
from trainer.near_duplicates import NearDuplicates
from trainer.perplexity import mean_loss
from trainer.progress import Progress
from trainer.recipe import RaisingParser
from trainer.shuffle import shuffled
from trainer.sources import parse_source
from trainer.token_shards import Windows, read_shards, shard_path, write_shard
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


def test_names_of_licences() -> None:
    allow = expand(["permissive"])
    assert {spdx("MIT License"), spdx("mit"), spdx("The MIT License (MIT)")} == {"MIT"}
    assert all(allowed(name, allow) for name in PERMISSIVE)
    assert allowed("GPL-3.0-only OR MIT", allow)
    assert allowed("Apache-2.0 OR (MIT AND BSD-3-Clause)", allow)
    assert not allowed("MIT AND GPL-3.0-only", allow)
    assert not allowed(None, allow)
    assert allowed("GPL-3.0-only", expand(["GPL-3.0-only"]))
    assert parse_source("/a", "mit").licence == "MIT"
    assert parse_source("stdlib", "mit").licence is None, "the library knows its own"


def jaccard(a: str, b: str) -> float:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b))


def test_near_duplicates_are_those_of_the_definition() -> None:
    """Against the exact share of common runs; the estimate of 128 places is good to about .1."""
    r = np.random.default_rng(0)
    base = prose(0, 400).split()
    checked = Counter()
    for trial in range(60):
        words = list(base)
        for place in r.integers(0, 400, int(r.integers(0, 40))):
            words[place] = f"changed{trial}"
        near, true = NearDuplicates(0.8), jaccard(" ".join(base), " ".join(words))
        near.add(" ".join(base))
        new = near.add(" ".join(words))
        if true > 0.9 or true < 0.6:
            checked[new] += 1
            assert new == (true < 0.8), true
    assert min(checked.values()) >= 5
    assert NearDuplicates(0.8).add("") is True


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


@pytest.mark.parametrize("count", [1, 2, 3, 17, 64, 1000])
def test_a_shuffled_order_has_everything_once(count: int) -> None:
    orders = [[shuffled(i, count, seed) for i in range(count)] for seed in (1, 2)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert count < 17 or orders[0] != orders[1]


def test_shuffled_places_are_spread_evenly() -> None:
    """Neighbours are no nearer to each other than chance has it: a mean distance of a third of the count."""
    order = np.array([shuffled(i, 30_000, 5) for i in range(30_000)])
    assert np.abs(np.diff(order)).mean() == pytest.approx(10_000, rel=0.03)
    assert order[:3000].mean() == pytest.approx(15_000, rel=0.05)


def test_each_epoch_takes_every_window_once(tmp_path: Path) -> None:
    sizes = (101, 7, 64)
    for index, size in enumerate(sizes):
        write_shard(shard_path(tmp_path, index), [1000 * index + i for i in range(size)], 5000)
    windows = Windows(read_shards(tmp_path), 8, seed=3)
    assert windows.per_epoch == 11 + 0 + 6
    for epoch in range(3):
        starts = [int(windows.at(epoch * 17 + i)[0]) for i in range(17)]
        assert len(set(starts)) == 17
        assert len({start % 1000 % 8 for start in starts}) == 1, "one shift an epoch"
        assert Counter(start // 1000 for start in starts) == {0: 11, 2: 6}
    assert all((np.diff(windows.at(i)) == 1).all() and len(windows.at(i)) == 9 for i in range(40))
    assert [windows.at(i)[0] for i in range(17)] != [windows.at(17 + i)[0] for i in range(17)]
    with pytest.raises(TrainerError, match="longest shard"):
        Windows(read_shards(tmp_path), 90, seed=0)


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


def test_perplexity_is_that_of_the_definition(tmp_path: Path) -> None:
    """A model whose weights are zero says every id with the same chance; a random one as transformers' loss has it."""
    r = np.random.default_rng(0)
    write_shard(shard_path(tmp_path, 0), r.integers(0, 97, 400).tolist(), 97)
    model = random_model(SMALL)
    windows = Windows(read_shards(tmp_path), 24, seed=0)
    loss = mean_loss(model, windows, 5, 2, Progress("perplexity"))
    rows = torch.from_numpy(np.stack([windows.at(i) for i in range(5)]))
    with torch.inference_mode():
        logits = model(rows[:, :-1]).flatten(0, 1)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, rows[:, 1:].flatten()).item(), rel=0.01)
    for weight in model.parameters():
        weight.data.zero_()
    assert math.exp(mean_loss(model, windows, 99, 4, Progress("perplexity"))) == pytest.approx(97, rel=1e-3)
