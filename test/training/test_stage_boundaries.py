"""A run killed (SIGKILL) at any boundary of its stages, before or after a stage is marked, ends as others do."""

import json
import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "gpu-service/training/trainer"
LONGEST_S = 300
SHAPE = {"layers": 1, "hidden": 32, "heads": 1, "kv-heads": 1, "head-dim": 32, "ffn": 48, "context": 32}
DIALS = {"steps": 2, "warmup": 1, "lr": 0.004, "batch": 2, "sequence": 16, "threads": 1, "device": "cpu"}
STAGES = [
    {"stage": "corpus", "source": "stdlib", "megabytes": 0.05, "out": "corpus"},
    {"stage": "tokenize", "corpus": "corpus", "train-vocab": 300, "out": "tokens"},
    {"stage": "pretrain", "tokens": "tokens", "out": "$out/model", **SHAPE, **DIALS},
]
DYING = """
import os, signal, sys
from trainer import __main__, run
marker, when = sys.argv.pop(1), sys.argv.pop(1)
write = run.write_text
def dying(path, text):
    if path.name != marker:
        return write(path, text)
    if when == "after":
        write(path, text)
    os.kill(os.getpid(), signal.SIGKILL)
run.write_text = dying
sys.exit(__main__.main(sys.argv[1:]))
"""


def run(folder: Path, *die_at: str) -> int:
    """The exit status; `die_at`: the marker at which it dies, and whether before or after that is written."""
    words = ["run", "--recipe", folder / "recipe.json", "--work", folder / "work", "--out", folder / "out"]
    program = ["-c", DYING, *die_at] if die_at else ["-m", "trainer"]
    command = [sys.executable, *program, *map(str, words)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=LONGEST_S, check=False).returncode


def written(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    recipe = {"name": "boundaries", "target": None, "seed": 1, "stages": STAGES}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def test_killed_at_every_boundary_a_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, killed = written(tmp_path, "whole"), written(tmp_path, "killed")
    assert run(whole) == 0
    for index, entry in enumerate(STAGES):
        for when in ("before", "after"):
            assert run(killed, f"{index:02d}-{entry['stage']}.json", when) == -signal.SIGKILL
    assert run(killed) == 0
    weights = sorted(path.relative_to(whole) for path in whole.rglob("*.safetensors"))
    assert weights
    for path in weights:
        assert (whole / path).read_bytes() == (killed / path).read_bytes(), path
