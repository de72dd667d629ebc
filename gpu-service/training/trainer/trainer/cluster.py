"""`cluster`: a recipe on a Ray cluster. The driver that a Ray job runs.

Each of `--workers` workers is one process of the training, as those that torchrun starts are: together in the stages
that many share, the first alone in the others.

All nodes must see the same folders. Needs requirements-ray.txt beside the trainer's own packages.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.progress import Progress

RUN_FLAGS = ("recipe", "work", "out", "events", "traffic", "parent", "threads")
"""Those of `run` that a job gives."""
RESULTS = "ray"
"""In the work folder: what Ray itself keeps of a run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from trainer.run import add_arguments as add_run_arguments

    add_run_arguments(parser)
    parser.add_argument("--workers", type=int, required=True, help="processes of the training")
    parser.add_argument("--gpus", type=int, default=0, help="of each worker")


def main(args: argparse.Namespace, progress: Progress) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    given = {name: value for name in RUN_FLAGS if (value := getattr(args, name)) is not None}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    words += [word for root in args.models for word in ("--models", str(root))]
    resources = {"CPU": args.threads, **({"GPU": args.gpus} if args.gpus else {})}
    trainer = TorchTrainer(
        work,
        train_loop_config={"words": words},
        scaling_config=ScalingConfig(num_workers=args.workers, use_gpu=args.gpus > 0, resources_per_worker=resources),
        run_config=RunConfig(name=RESULTS, storage_path=str(Path(args.work).resolve())),
    )
    try:
        trainer.fit()
    except Exception as error:  # Ray wraps what a worker raised, one class a kind of failure
        if refusal := refusal_in(str(error)):
            raise TrainerError(refusal) from error
        raise


def work(config: dict[str, Any]) -> None:
    """In each worker. Ray has named this process by RANK and WORLD_SIZE, and has made the group of all."""
    import torch

    from trainer.parallel import rank
    from trainer.run import main as run
    from trainer.stages import parser_of

    args = parser_of("run").parse_args(config["words"])
    torch.set_num_threads(args.threads)
    run(args, Progress("run", args.events, silent=rank() > 0))


def refusal_in(text: str) -> str | None:
    """What the trainer said when it refused, in the traceback that Ray brings; None where a worker was lost."""
    named = [line for line in text.splitlines() if "TrainerError: " in line]
    return named[-1].partition("TrainerError: ")[2].strip() if named else None
