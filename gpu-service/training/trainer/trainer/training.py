"""The training loop that `pretrain`, `finetune` and `distil` share: AdamW, a cosine, checkpoints that resume exactly.

A stage gives a function from step number to loss; the batch depends on nothing but that number, so a run that was
killed anywhere goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.quantise import Quantisation

CHECKPOINT_FILE = "checkpoint.pt"
FINAL_SHARE = 0.05
"""The learning rate at the end, as a share of its peak."""


@dataclass(frozen=True)
class Schedule:
    steps: int
    warmup: int
    lr: float
    lr_embeddings: float
    decay: float = 0.1
    clip: float = 1.0
    checkpoint_s: float = 120.0
    quantisation: Quantisation | None = None
    quantise_from: float = 1.0
    """Share of the steps after which the model computes with rounded weights."""


def share_of_peak(schedule: Schedule, step: int) -> float:
    """Linear warm-up, then a cosine down to `FINAL_SHARE`."""
    rise = min(1.0, (step + 1) / max(1, schedule.warmup))
    return rise * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * step / schedule.steps)))


def optimiser_of(model: Llama, schedule: Schedule) -> torch.optim.AdamW:
    """Decay on the matrices of the body only: an embedding row that no batch touches must stay what it is."""
    matrices: list[Tensor] = []
    embeddings: list[Tensor] = []
    vectors: list[Tensor] = []
    for name, weight in model.named_parameters():
        if name.startswith(("embed_tokens", "lm_head")):
            embeddings.append(weight)
        else:
            (matrices if weight.dim() == 2 else vectors).append(weight)
    groups = [
        {"params": matrices, "peak": schedule.lr, "weight_decay": schedule.decay},
        {"params": vectors, "peak": schedule.lr, "weight_decay": 0.0},
        {"params": embeddings, "peak": schedule.lr_embeddings, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=(0.9, 0.95), fused=True)


def train(
    model: Llama, loss_at: Callable[[int], tuple[Tensor, int]], schedule: Schedule, out: Path, progress: Progress
) -> None:
    """Train in place. `loss_at(step)` gives the mean loss and the tokens that it is a mean of.

    TrainerError when the loss is not finite: the last checkpoint is left as it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / CHECKPOINT_FILE
    optimiser = optimiser_of(model, schedule)
    first = restore(path, model, optimiser)
    model.train()
    began, saved, tokens, mean = time.monotonic(), time.monotonic(), 0, 0.0
    for step in range(first, schedule.steps):
        quantised = schedule.quantisation is not None and step >= schedule.quantise_from * schedule.steps
        model.pretend(schedule.quantisation if quantised else None)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * share_of_peak(schedule, step)
        loss, count = loss_at(step)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainerError(f"the loss is {value} at step {step}; lower the learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        tokens += count
        mean = value if step == first else 0.95 * mean + 0.05 * value
        now = time.monotonic()
        progress.step(step + 1, schedule.steps, tokens=tokens, loss=mean, tok_s=tokens / (now - began))
        if now - saved > schedule.checkpoint_s:
            save(path, model, optimiser, step + 1)
            saved = time.monotonic()
    model.pretend(None)
    model.eval()


def save(path: Path, model: Llama, optimiser: torch.optim.Optimizer, step: int) -> None:
    beside = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, beside)
    os.replace(beside, path)


def restore(path: Path, model: Llama, optimiser: torch.optim.Optimizer) -> int:
    """The step to go on from: 0 without a checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dials that every training stage has."""
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warmup", type=int, default=20, help="steps of rising learning rate")
    parser.add_argument("--lr", type=float, required=True, help="peak learning rate of the body")
    parser.add_argument("--lr-embeddings", type=float, help="the same for embedding and head (default: --lr)")
    parser.add_argument("--checkpoint-s", type=float, default=120.0, help="seconds between checkpoints")


def schedule_of(args: argparse.Namespace) -> Schedule:
    return Schedule(
        steps=args.steps,
        warmup=args.warmup,
        lr=args.lr,
        lr_embeddings=args.lr if args.lr_embeddings is None else args.lr_embeddings,
        checkpoint_s=args.checkpoint_s,
    )
