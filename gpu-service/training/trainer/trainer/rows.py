"""Training on rows of ids, as `pretrain` and `finetune` do it: in parts, by as many processes as there are."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from torch import Tensor

from trainer import parallel as processes
from trainer.cost import flops_per_token
from trainer.gradients import loss_of_rows
from trainer.llama import Llama
from trainer.objective import NextToken
from trainer.parallel import Parallel
from trainer.progress import Progress
from trainer.schedule import add_arguments as add_schedule
from trainer.schedule import schedule_of
from trainer.state import whole
from trainer.training import train


def train_rows(
    model: Llama,
    rows_at: Callable[[int, range], Tensor],
    args: argparse.Namespace,
    progress: Progress,
    parallel: Parallel,
) -> Llama | None:
    """`rows_at(step, rows)` gives ids [rows, sequence + 1]. Returns the trained model, on the first process only."""
    model.to(parallel.device)
    if args.compile == "yes":
        for layer in model.layers:
            layer.compile()
    objective = parallel.spread(NextToken(model), model)
    loss_at = loss_of_rows(objective, rows_at, args.batch, args.micro_batch, parallel)
    cost = flops_per_token(model.c, args.sequence)
    train(model, loss_at, schedule_of(args), args.out, progress, parallel, cost)
    return whole(model, parallel)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", type=int, default=16, help="sequences per step, of all processes together")
    parser.add_argument("--micro-batch", type=int, default=0, help="sequences at a time and process (0: its share)")
    parser.add_argument("--sequence", type=int, default=256, help="tokens per sequence")
    parser.add_argument("--seed", type=int, default=0)
    processes.add_arguments(parser)
    add_schedule(parser)
