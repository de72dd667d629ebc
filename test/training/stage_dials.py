"""The dials of every stage, for the training service to check recipes by.

With the trainer's folder on PYTHONPATH, from the repository's root:
`python test/training/stage_dials.py > gpu-service/training/jobs/stage-dials.json`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from trainer.stages import STAGES, parser_of

NOT_DIALS = {"help", "events"}
KINDS = {int: "int", float: "number", Path: "path"}


def dial(action: argparse.Action) -> dict[str, Any]:
    kind: dict[str, Any] = {"kind": KINDS.get(action.type, "text")}  # type: ignore[arg-type, call-overload]
    if action.choices is not None:
        kind["choices"] = ", ".join(action.choices)
    if action.nargs == "+":
        kind["many"] = True
    if action.required:
        kind["required"] = True
    return kind


def stage_dials() -> dict[str, dict[str, Any]]:
    return {
        stage: {
            action.option_strings[-1].removeprefix("--"): dial(action)
            for action in parser_of(stage)._actions
            if action.dest not in NOT_DIALS
        }
        for stage in STAGES
    }


def as_text() -> str:
    return json.dumps(stage_dials(), indent=2) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")
