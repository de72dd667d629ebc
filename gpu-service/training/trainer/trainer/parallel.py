"""One training by many processes: `torchrun` starts them, each computes its rows of every batch.

`ddp` keeps all weights in every process and adds up gradients; `fsdp` also spreads weights, gradients and moments, and
gathers a layer's weights where it is computed. The batch is that of all processes together, so how many there are
changes the speed, not the training.
"""

from __future__ import annotations

import argparse
import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from trainer.device import add_device, device_of
from trainer.errors import TrainerError
from trainer.llama import Llama

STRATEGIES = ("ddp", "fsdp")
CPU = torch.device("cpu")
PATIENCE = timedelta(minutes=30)
"""For one exchange between processes; the slowest thing between two of them is writing a checkpoint."""


@dataclass(frozen=True)
class Parallel:
    rank: int = 0
    world: int = 1
    strategy: str = "ddp"
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Does this process write files and speak?"""
        return self.rank == 0

    def rows(self, batch: int) -> range:
        """This process's rows of a batch. TrainerError where the processes cannot share it evenly."""
        if batch % self.world:
            raise TrainerError(f"a batch of {batch} sequences cannot be shared by {self.world} processes")
        each = batch // self.world
        return range(self.rank * each, (self.rank + 1) * each)

    def total(self, values: Tensor) -> Tensor:
        """Sums over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def agreed(self, decision: bool) -> bool:
        """The first process's decision: clocks differ."""
        if self.world == 1:
            return decision
        told = torch.tensor([float(decision and self.first)], device=self.device)
        return bool(self.total(told).item() > 0)

    def spread(self, objective: nn.Module, model: Llama) -> nn.Module:
        """The objective whose gradients are those of all processes. Changes the model's weights in place (fsdp)."""
        if self.world == 1:
            return objective
        if self.strategy == "fsdp":
            for layer in model.layers:
                fully_shard(layer)
            sharded: nn.Module = fully_shard(objective)  # type: ignore[assignment]
            return sharded
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=ids, gradient_as_bucket_view=True)

    @contextmanager
    def exchange(self, objective: nn.Module, last: bool) -> Iterator[None]:
        """Around one of several backward passes of a step: gradients are exchanged after the last only."""
        if isinstance(objective, FSDPModule):
            objective.set_requires_gradient_sync(last)
            yield
        elif isinstance(objective, DistributedDataParallel) and not last:
            with objective.no_sync():
                yield
        else:
            yield


@contextmanager
def processes(args: argparse.Namespace) -> Iterator[Parallel]:
    """This process among those that torchrun started; alone, where nothing did."""
    world, device = int(os.environ.get("WORLD_SIZE", "1")), device_of(args.device)
    cuda = device.type == "cuda"
    if cuda:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world == 1:
        yield Parallel(device=device)
        return
    if not dist.is_initialized():
        # Once for all stages of a recipe: a second group would look for the first one's addresses.
        dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)
    yield Parallel(dist.get_rank(), world, args.strategy, device)


def rank() -> int:
    """This process's number, before any group of processes exists."""
    return int(os.environ.get("RANK", "0"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", choices=STRATEGIES, default="ddp", help="of many processes (torchrun)")
    parser.add_argument("--compile", choices=("yes", "no"), default="no", help="torch.compile of each layer")
    add_device(parser)
