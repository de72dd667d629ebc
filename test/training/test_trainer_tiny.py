"""The recipe `tiny` as a job runs it: whole, through the command line, killed in the middle and started again."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from trainer.acceptance import measure
from trainer.checkpoint import read_model
from trainer.held_prompts import held_prompts
from trainer.image import read_image
from trainer.vocabulary import Vocabulary
from trainer.writing import Job, write

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "gpu-service/training/trainer"
TINY = ROOT / "infra/models/tiny"
LONGEST_S = 600
"""Generous: the recipe takes half a minute of CPU time, but the machine may be shared."""


def command(folder: Path) -> list[str]:
    recipe = folder / "recipe.json"
    words = ["run", "--threads", "1", "--recipe", recipe, "--models", ROOT / "infra/models", "--work", folder / "work"]
    return [sys.executable, "-m", "trainer", *map(str, words), "--out", str(folder / "out"), "--events", events(folder)]


def events(folder: Path) -> str:
    return str(folder / "events.jsonl")


def read_events(folder: Path) -> list[dict]:
    path = Path(events(folder))
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kill_inside(stage: str, folder: Path, checkpoint: Path) -> None:
    """Start the recipe and kill it once `stage` has reported progress and left a checkpoint."""
    process = subprocess.Popen(command(folder), cwd=PROJECT, stderr=subprocess.DEVNULL)
    began = time.monotonic()
    while not (checkpoint.exists() and any(event["stage"] == stage for event in read_events(folder))):
        assert process.poll() is None, f"ended before it reached {stage}"
        assert time.monotonic() - began < LONGEST_S
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped recipe, but that pretraining keeps every step: it is over too soon to be caught between two."""
    folder = tmp_path_factory.mktemp("tiny")
    recipe = json.loads((ROOT / "gpu-service/training/recipes/tiny.json").read_text())
    for entry in recipe["stages"]:
        if entry["stage"] == "pretrain":
            entry["checkpoint-s"] = 0
    (folder / "recipe.json").write_text(json.dumps(recipe))
    kill_inside("pretrain", folder, folder / "work/pretrained/checkpoint.pt")
    (folder / "before").write_text("\n".join(sorted(os.listdir(folder / "work/done"))))
    done = subprocess.run(command(folder), cwd=PROJECT, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "second.log").write_text(done.stderr)
    return folder


def test_a_killed_run_goes_on(released: Path) -> None:
    assert (released / "before").read_text().split() == ["00-corpus.json", "01-tokenize.json"]
    log = (released / "second.log").read_text()
    assert "corpus: done before" in log
    assert "tokenize: done before" in log
    pretrain = [event["step"] for event in read_events(released) if event["stage"] == "pretrain"]
    assert pretrain[-1] == 100
    assert not list(released.rglob("checkpoint.pt"))


def test_the_release_is_whole(released: Path) -> None:
    manifest = json.loads((released / "out/manifest.unsigned.json").read_text())
    for name, entry in manifest["files"].items():
        data = (released / "out" / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert (released / "out/tokenizer.json").read_bytes() == (TINY / "target/tokenizer.json").read_bytes()
    draft = read_image(released / "out/model.draft")
    assert (manifest["vocab_size"], manifest["head_rows"], manifest["context"]) == (1024, 1024, draft.c.context)
    assert (manifest["kind"], manifest["target"], manifest["lineage"]["recipe"]) == ("draft", "tiny", "tiny")
    assert manifest["lineage"]["data"]["corpus"]["licence"] == "PSF-2.0"
    assert manifest["acceptance"]["code"]["greedy"] > 0.4
    assert manifest["memory_bytes"] < 1_000_000


def test_progress_can_be_followed(released: Path) -> None:
    stages = [event["stage"] for event in read_events(released)]
    assert list(dict.fromkeys(stages)) == ["tokenize", "pretrain", "finetune", "generate", "distil"]
    for event in read_events(released):
        assert {"stage", "step", "steps", "tokens", "loss", "tok_s", "eta_s"} == event.keys()
        assert 0 < event["step"] <= event["steps"]
    losses = [event["loss"] for event in read_events(released) if event["stage"] == "distil"]
    assert losses[-1] < losses[0] / 2


def test_a_finished_run_does_nothing_again(released: Path) -> None:
    before = (released / "out/manifest.unsigned.json").stat().st_mtime_ns
    subprocess.run(command(released), cwd=PROJECT, capture_output=True, timeout=LONGEST_S, check=True)
    assert (released / "out/manifest.unsigned.json").stat().st_mtime_ns == before


def test_a_changed_recipe_is_not_mixed_with_an_old_run(released: Path) -> None:
    marker = released / "work/done/02-pretrain.json"
    kept = marker.read_text()
    marker.write_text(json.dumps({**json.loads(kept), "steps": 7}))
    refused = subprocess.run(
        command(released), cwd=PROJECT, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    marker.write_text(kept)
    assert refused.returncode == 1
    assert "'pretrain' was done" in refused.stderr


def test_the_shipped_tiny_draft_foresees_its_target() -> None:
    """Measured anew, on held-out prompts, with the weights of the shipped image."""
    torch.set_num_threads(1)
    vocabulary = Vocabulary.read(TINY / "target")
    target = read_model(TINY / "target", torch.bfloat16)
    prompts = [(vocabulary.encode(prompt.text), prompt) for prompt in held_prompts(vocabulary, 12)]
    jobs = [Job(ids, prompt.temperature, prompt.domain) for ids, prompt in prompts if len(ids) < 400]
    texts = write(target, jobs, 48, 64, vocabulary.stop_ids, torch.Generator().manual_seed(0))
    acceptance = measure(read_image(TINY / "draft/model.draft"), texts)
    assert acceptance["code"].greedy > 0.4
    assert acceptance["chat"].greedy > 0.4
    blank = read_image(TINY / "draft/model.draft")
    blank.initialise()
    untaught = measure(blank, texts)["code"]
    assert untaught.greedy < 0.1
    assert 1 < acceptance["code"].perplexity < untaught.perplexity / 3


def test_the_golden_logits_are_those_of_the_shipped_image() -> None:
    golden = json.loads((ROOT / "test/cases/draft-golden.json").read_text())
    assert golden["image_sha256"] == hashlib.sha256((TINY / "draft/model.draft").read_bytes()).hexdigest()
    draft = read_image(TINY / "draft/model.draft")
    for case in golden["cases"]:
        with torch.inference_mode():
            logits = draft(torch.tensor([case["ids"]]))[0]
        named = logits.gather(1, torch.tensor(case["top_ids"]))
        assert (named - torch.tensor(case["top_logits"])).abs().max() < 1e-4
