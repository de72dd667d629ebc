"""A recipe's target that this machine has only as the verifier loads it: its Hugging Face folder is made first."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from gguf_files import write_gguf
from hub_folders import reference_logits, save_model

from checkpoints.gguf_file import read_gguf
from checkpoints.hugging_face import read_folder
from checkpoints.llama import EMBEDDING, layer_names
from trainer.checkpoint import read_model
from trainer.errors import TrainerError
from trainer.progress import Progress
from trainer.target import Target, find_target, make_folder

PROJECT = Path(__file__).resolve().parents[2] / "gpu-service/training/trainer"
ID = "small"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "model"
    save_model(folder, {}, dtype="bfloat16")
    return folder


@pytest.fixture
def gguf(hub: Path, tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "small.gguf", read_folder(hub), GGMLQuantizationType.Q8_0)


def call(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)


def convert(source: Path, data: Path) -> Path:
    """As `npm run models -- add` does; returns the models folder."""
    done = call("checkpoints", source, "--models", data / "models", "--id", ID, "--formats", "int8")
    assert done.returncode == 0, done.stderr
    return data / "models"


def run_recipe(folder: Path, models: Path) -> subprocess.CompletedProcess[str]:
    """One stage that reads the target's tokenizer."""
    stage = {"stage": "prompts", "target": "$target", "code": 1, "out": "prompts.jsonl"}
    (folder / "recipe.json").write_text(json.dumps({"name": "x", "target": ID, "seed": 0, "stages": [stage]}))
    words = ["--recipe", folder / "recipe.json", "--models", models, "--work", folder / "work", "--out", folder / "out"]
    return call("trainer", "run", *words, "--events", folder / "events.jsonl")


def test_run_makes_the_folder_once(gguf: Path, tmp_path: Path) -> None:
    models = convert(gguf, tmp_path)
    made = models / ID / "hf"
    done = run_recipe(tmp_path, models)
    assert done.returncode == 0, done.stderr
    assert f"target: making {made} of {gguf}, once" in done.stderr
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["step"] == event["steps"] for event in events if event["stage"] == "target"][-1]
    source, folder = read_gguf(gguf), read_folder(made)
    for name in (EMBEDDING, *layer_names(1).values()):
        np.testing.assert_array_equal(folder.read(name), source.read(name), err_msg=name)
    assert (made / "tokenizer.json").read_bytes() == (models / ID / "tokenizer.json").read_bytes()
    assert folder.tokenizer.chat_template == source.tokenizer.chat_template
    assert not (models / ID / ".hf.partial").exists()
    ids = [5, 80, 3, 200]
    with torch.no_grad():
        logits = read_model(made)(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(logits, reference_logits(made, ids), atol=1e-4)
    gguf.unlink()
    shutil.rmtree(tmp_path / "work")
    again = run_recipe(tmp_path, models)
    assert again.returncode == 0, again.stderr
    assert "making" not in again.stderr


def test_a_converted_folder_of_bfloat16_is_read_again(hub: Path, tmp_path: Path) -> None:
    models = convert(hub, tmp_path)
    make_folder(find_target(ID, [models]), Progress("target"))
    made = find_target(ID, [models])
    assert made == Target(models / ID / "hf")
    np.testing.assert_array_equal(read_folder(made.folder).read(EMBEDDING), read_folder(hub).read(EMBEDDING))


def test_the_file_in_the_cache_serves_where_no_path_was_recorded(gguf: Path, tmp_path: Path) -> None:
    cached = tmp_path / "data/cache/gguf" / gguf.name
    cached.parent.mkdir(parents=True)
    models = convert(gguf, tmp_path / "data")
    gguf.rename(cached)
    (models / f".{ID}.source").unlink()
    make_folder(find_target(ID, [models]), Progress("target"))
    assert find_target(ID, [models]).converted is None


def test_a_source_that_is_gone_or_another(gguf: Path, hub: Path, tmp_path: Path) -> None:
    models = convert(gguf, tmp_path)
    write_gguf(gguf, read_folder(hub), GGMLQuantizationType.Q4_0)
    with pytest.raises(TrainerError, match=r"small\.gguf is not what target small was made of"):
        make_folder(find_target(ID, [models]), Progress("target"))
    gguf.unlink()
    done = run_recipe(tmp_path, models)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert str(gguf) in last
    assert f"npm run models -- add SOURCE --id {ID}" in last
    assert "npm run models -- default" in last
    assert not (models / ID / "hf").exists()


def test_a_making_that_was_cut_off_is_begun_anew(gguf: Path, tmp_path: Path) -> None:
    models = convert(gguf, tmp_path)
    left = models / ID / ".hf.partial"
    left.mkdir()
    (left / "config.json").write_text("{}")
    (left / "stale").touch()
    make_folder(find_target(ID, [models]), Progress("target"))
    assert not left.exists()
    assert not (models / ID / "hf/stale").exists()


def test_targets_are_found_by_id(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "target"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    converted = tmp_path / "first" / "a"
    converted.mkdir(parents=True)
    (converted / "manifest.json").write_text("{}")
    assert find_target("a", [tmp_path / "nothing", converted.parent]) == Target(converted / "hf", converted)
    assert find_target("a", [converted.parent, tmp_path]) == Target(folder)
    with pytest.raises(TrainerError, match="target 'b'"):
        find_target("b", [tmp_path])
    with pytest.raises(TrainerError, match="is not a target's manifest"):
        make_folder(find_target("a", [converted.parent]), Progress("target"))
