"""`python -m trainer STAGE ...`: every stage of a recipe by hand, or `run` for all of them."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

STAGES = {
    "prompts": "write prompts for the target",
    "generate": "let the target write texts and keep its logits",
    "distil": "teach a draft to foresee the target",
    "evaluate": "measure acceptance on held-out texts",
}

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 30), "MALLOC_TRIM_THRESHOLD_": str(32 << 30)}
"""Keeps freed blocks in the process: page faults otherwise cost about 15% of training time."""


def main() -> int:
    if sys.platform == "linux" and not MALLOC.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, "-m", "trainer", *sys.argv[1:]], {**MALLOC, **os.environ})
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    modules = {}
    for name, purpose in STAGES.items():
        modules[name] = import_module(f"trainer.{name}")
        stage = stages.add_parser(name, help=purpose)
        modules[name].add_arguments(stage)
        stage.add_argument("--threads", type=int, default=2, help="CPU threads")
        stage.add_argument("--events", type=Path, help="JSONL file that progress is appended to")
    args = parser.parse_args()

    import torch

    from trainer.errors import TrainerError
    from trainer.progress import Progress

    torch.set_num_threads(args.threads)
    try:
        modules[args.stage].main(args, Progress(args.stage, args.events))
    except TrainerError as error:
        print(f"{args.stage}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
