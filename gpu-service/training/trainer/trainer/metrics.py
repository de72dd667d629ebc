"""What every step measured: `metrics/steps.jsonl` in a stage's folder, and the same for TensorBoard.

A run that was killed and goes on from step N forgets what it wrote after N, so the file is that of one run; what
TensorBoard reads is made of it anew (where tensorboardX is installed).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = "metrics"
STEPS_FILE = "steps.jsonl"
FLUSH_S = 10


def read_steps(out: Path) -> list[dict[str, Any]]:
    """Every whole line; a kill may have cut the last."""
    path = out / FOLDER / STEPS_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


class Metrics:
    def __init__(self, out: Path, first: int) -> None:
        """`first`: the steps that are done. Of what follows, nothing is kept."""
        folder = out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        kept = [entry for entry in read_steps(out) if entry["step"] <= first]
        beside = folder / f".{STEPS_FILE}.part"
        beside.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        os.replace(beside, folder / STEPS_FILE)
        self.losses = [float(entry["loss"]) for entry in kept]
        self.file = (folder / STEPS_FILE).open("a", encoding="utf-8")
        for events in folder.glob("events.out.tfevents.*"):
            events.unlink()
        self.board = open_board(folder)
        for entry in kept:
            self.draw(**entry)

    def write(self, step: int, **values: float) -> None:
        """`loss`, `lr`, `gradient_norm`, `tokens`, `tok_s`, `mfu`; those that are not known are left out."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        self.draw(step, **values)

    def draw(self, step: int, **values: float) -> None:
        if self.board is None:
            return
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def close(self) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()


def open_board(folder: Path) -> Any:
    """None where the package is not installed: the lines say the same."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), flush_secs=FLUSH_S)
