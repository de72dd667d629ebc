"""The course of a training: steps, learning rates, and from when on weights are rounded; its flags."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from trainer.quantise import Quantisation

FINAL_SHARE = 0.05
"""The learning rate at the end, as a share of its peak, where none is named."""


@dataclass(frozen=True)
class Schedule:
    steps: int
    warmup: int
    lr: float
    lr_embeddings: float
    decay: float = 0.1
    clip: float = 1.0
    final_share: float = FINAL_SHARE
    """The learning rates at the end, as a share of their peaks."""
    checkpoint_s: float = 120.0
    quantisation: Quantisation | None = None
    quantise_from: float = 1.0
    """Share of the steps after which the model computes with rounded weights."""


def share_of_peak(schedule: Schedule, step: int) -> float:
    """Linear warm-up, then a cosine down to `final_share`."""
    rise, last = min(1.0, (step + 1) / max(1, schedule.warmup)), schedule.final_share
    return rise * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * step / schedule.steps)))


def quantised_after(schedule: Schedule) -> int:
    """Steps after which the model computes with rounded weights."""
    return schedule.steps if schedule.quantisation is None else math.ceil(schedule.quantise_from * schedule.steps)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The dials that every training stage has."""
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warmup", type=int, default=20, help="steps of rising learning rate")
    parser.add_argument("--lr", type=float, required=True, help="peak learning rate of the body")
    parser.add_argument("--lr-embeddings", type=float, help="the same for embedding and head (default: --lr)")
    parser.add_argument("--lr-last", type=float, help=f"the body's at the end (default: {FINAL_SHARE} of the peak)")
    parser.add_argument("--checkpoint-s", type=float, default=120.0, help="seconds between checkpoints")


def schedule_of(args: argparse.Namespace) -> Schedule:
    return Schedule(
        steps=args.steps,
        warmup=args.warmup,
        lr=args.lr,
        lr_embeddings=args.lr if args.lr_embeddings is None else args.lr_embeddings,
        final_share=FINAL_SHARE if args.lr_last is None else args.lr_last / args.lr,
        checkpoint_s=args.checkpoint_s,
    )
