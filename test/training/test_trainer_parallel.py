"""Training by several processes and in parts is the training of one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard_events import scalars
from test_trainer_llama import SMALL, random_model

from trainer.checkpoint import read_model
from trainer.errors import TrainerError
from trainer.gradients import loss_of_rows
from trainer.objective import IGNORED, NextToken
from trainer.parallel import Parallel
from trainer.token_shards import shard_path, write_shard
from trainer.tokenize import train_tokenizer, write_tokenizer

PROJECT = Path(__file__).resolve().parents[2] / "gpu-service/training/trainer"
STEPS = 24
SHAPE = [
    "--layers",
    "2",
    "--hidden",
    "64",
    "--heads",
    "2",
    "--kv-heads",
    "1",
    "--head-dim",
    "32",
    "--ffn",
    "96",
    "--context",
    "64",
]
DIALS = f"--steps {STEPS} --warmup 3 --lr 0.004 --lr-last 0.0004 --batch 8 --sequence 32 --seed 4 --threads 1".split()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    write_tokenizer(folder, train_tokenizer(["some text to make a small vocabulary of"] * 3, 280))
    r = torch.Generator().manual_seed(0)
    for index in range(2):
        ids = (torch.randint(0, 40, (2000,), generator=r).cumsum(0) % 263 + 6).tolist()
        write_shard(shard_path(folder, index), ids, 300)
    return folder


def command(tokens: Path, out: Path, *more: str, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = ["-m", "trainer", "pretrain", "--tokens", str(tokens), "--out", str(out), *SHAPE, *DIALS, *more]
    return [sys.executable, *(launcher if processes > 1 else []), *words]


def pretrain(tokens: Path, out: Path, *more: str, processes: int = 1) -> list[dict]:
    done = subprocess.run(
        command(tokens, out, *more, processes=processes),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return steps(out)


def steps(out: Path) -> list[dict]:
    path = out / "metrics/steps.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def curve(entries: list[dict]) -> list[tuple]:
    return [(e["step"], e["loss"], e["gradient_norm"], e["lr"], e["tokens"]) for e in entries]


@pytest.fixture(scope="module")
def alone(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    pretrain(tokens, out)
    return out


def test_one_process_says_what_it_measured(alone: Path) -> None:
    entries = steps(alone)
    assert [entry["step"] for entry in entries] == list(range(1, STEPS + 1))
    assert entries[-1]["loss"] < entries[0]["loss"] - 0.3
    assert entries[-1]["tokens"] == STEPS * 8 * 32
    assert entries[-1]["lr"] == pytest.approx(0.0004, rel=0.1)
    assert all(0 < entry["mfu"] < 1 and entry["tok_s"] > 0 and entry["gradient_norm"] > 0 for entry in entries[1:])
    board = scalars(alone / "metrics")
    assert [step for step, _ in board["loss"]] == [entry["step"] for entry in entries]
    assert [loss for _, loss in board["loss"]] == pytest.approx([entry["loss"] for entry in entries], rel=1e-6)
    assert {"loss", "lr", "gradient_norm", "tok_s", "mfu", "tokens"} <= board.keys()


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_give_the_same_curve(strategy: str, tokens: Path, alone: Path, tmp_path: Path) -> None:
    entries = pretrain(tokens, tmp_path, "--strategy", strategy, "--micro-batch", "2", processes=2)
    off = [abs(mine["loss"] - theirs["loss"]) for mine, theirs in zip(entries, steps(alone), strict=True)]
    assert max(off) < 1e-3, off
    ids = torch.arange(6, 38)[None]
    with torch.inference_mode():
        difference = read_model(tmp_path)(ids) - read_model(alone)(ids)
    assert difference.abs().max() < 0.1


def test_a_recipe_is_shared_by_its_processes(tmp_path: Path) -> None:
    """The first process does what cannot be shared, the others wait for it; two stages are trained by both."""
    numbers = SHAPE + DIALS
    dials = {
        key[2:]: float(value) if "." in value else int(value) for key, value in pairs(numbers) if key != "--threads"
    }
    rows = {key: value for key, value in dials.items() if key in ("batch", "sequence", "lr", "lr-last", "warmup")}
    stages = [
        {"stage": "corpus", "megabytes": 0.2, "out": "corpus"},
        {"stage": "tokenize", "corpus": "corpus", "train-vocab": 300, "out": "tokens"},
        {"stage": "pretrain", "tokens": "tokens", "out": "pretrained", **dials, "steps": 3},
        {"stage": "finetune", "model": "pretrained", "corpus": "corpus", "out": "$out", **rows, "steps": 3},
    ]
    (tmp_path / "recipe.json").write_text(json.dumps({"name": "x", "target": None, "seed": 0, "stages": stages}))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "trainer", "run"]
    words = [
        "--recipe",
        tmp_path / "recipe.json",
        "--work",
        tmp_path / "work",
        "--out",
        tmp_path / "out",
        "--threads",
        1,
    ]
    command = [sys.executable, *launcher, *map(str, words)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("finetune: done in") == 1, "one of them speaks"
    assert [len(steps(folder)) for folder in (tmp_path / "work/pretrained", tmp_path / "out")] == [3, 3]
    assert read_model(tmp_path / "out").c.vocab == 300


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def killed(words: list[str], out: Path, at: int) -> None:
    """A training that keeps every step, killed with all of its processes once `at` steps were written."""
    for _ in range(9):
        process = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.DEVNULL)
        began = time.monotonic()
        while len(steps(out)) < at:
            assert process.poll() in (None, 0)
            assert time.monotonic() - began < 900
            time.sleep(0.005)
        for pid in children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        if at <= len(steps(out)) < STEPS:
            return
        shutil.rmtree(out)  # On a busy machine it may have been done before anybody looked.
        out.mkdir()
    raise AssertionError("never caught before its end")


def children(pid: int) -> list[int]:
    """torchrun starts its processes in sessions of their own."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("at", [1, 9])
def test_killed_at_a_step_the_curve_is_that_of_one_run(at: int, tokens: Path, alone: Path, tmp_path: Path) -> None:
    killed(command(tokens, tmp_path, "--checkpoint-s", "0"), tmp_path, at)
    assert curve(pretrain(tokens, tmp_path, "--checkpoint-s", "0")) == curve(steps(alone))
    assert (tmp_path / "model.safetensors").read_bytes() == (alone / "model.safetensors").read_bytes()
    assert [step for step, _ in scalars(tmp_path / "metrics")["loss"]] == list(range(1, STEPS + 1))


def test_a_run_goes_on_with_another_rate(tokens: Path, tmp_path: Path) -> None:
    killed(command(tokens, tmp_path, "--checkpoint-s", "0"), tmp_path, 5)
    entries = pretrain(tokens, tmp_path, "--lr", "0.0005")
    assert max(entry["lr"] for entry in entries[8:]) < 0.0006 < entries[3]["lr"]


def test_a_sharded_training_goes_on_in_one_process(tokens: Path, alone: Path, tmp_path: Path) -> None:
    """A checkpoint is whole, whatever wrote it."""
    more = ("--strategy", "fsdp", "--checkpoint-s", "0")
    killed(command(tokens, tmp_path, *more, processes=2), tmp_path, 6)
    entries = pretrain(tokens, tmp_path, "--checkpoint-s", "0")
    assert max(abs(m["loss"] - t["loss"]) for m, t in zip(entries, steps(alone), strict=True)) < 1e-3


def test_parts_of_a_batch_have_the_gradient_of_the_whole() -> None:
    """Also where they hold different numbers of tokens that count."""
    ids = torch.randint(0, 97, (4, 17), generator=torch.Generator().manual_seed(0))
    ids[1, 5:] = IGNORED
    ids[2, 9:] = IGNORED
    gradients, losses = [], []
    for micro in (0, 1, 2):
        model = random_model(replace(SMALL, tied=False))
        loss, tokens = loss_of_rows(NextToken(model), lambda _, rows: ids[list(rows)], 4, micro, Parallel())(0)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
        assert tokens == 64
    assert max(losses) - min(losses) < 2e-3
    for gradient in gradients[1:]:
        assert (gradient - gradients[0]).norm() < 0.02 * gradients[0].norm()


@pytest.mark.parametrize(("batch", "micro", "world"), [(7, 0, 2), (8, 3, 1), (8, 3, 2)])
def test_what_cannot_be_shared_is_refused(batch: int, micro: int, world: int) -> None:
    with pytest.raises(TrainerError, match=r"cannot be shared|do not divide"):
        loss_of_rows(NextToken(random_model(SMALL)), lambda *_: torch.zeros(1), batch, micro, Parallel(0, world))
