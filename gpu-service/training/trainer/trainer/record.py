"""What a training run says of its steps: progress, metrics, and a word when the loss leaves its course.

A step is read once the next one is under way: by then a GPU has its loss, and has something else to do.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from trainer.hardware import this_machine
from trainer.metrics import Metrics
from trainer.parallel import Parallel
from trainer.progress import Progress
from trainer.spikes import SpikeWatch

SPEED_STEPS = 20
"""Steps that the speed is a mean of."""
SMOOTH = 0.95


@dataclass(frozen=True)
class Course:
    """What a run is going to do."""

    first: int
    """Steps that are done."""
    steps: int
    turn: int
    """Steps after which the loss may jump, since something else is computed (rounded weights)."""
    flops_per_token: float | None = None


@dataclass(frozen=True)
class Unread:
    step: int
    loss: Tensor
    gradient_norm: Tensor
    lr: float
    tokens: int
    """Of all steps up to this one."""


class Record:
    def __init__(self, out: Path, course: Course, progress: Progress, parallel: Parallel) -> None:
        """Other processes than the first keep no record."""
        self.course, self.progress = course, progress
        self.metrics = Metrics(out, course.first) if parallel.first else None
        losses = self.metrics.losses if self.metrics else []
        self.watch = SpikeWatch(losses[course.turn if course.first > course.turn else 0 :])
        self.mean: float | None = None
        for loss in losses:
            self.smooth(loss)
        flops_per_token = course.flops_per_token
        self.share_of_peak = (
            flops_per_token / (this_machine().flops * parallel.world) if flops_per_token and self.metrics else None
        )
        self.times: deque[tuple[float, int]] = deque(maxlen=SPEED_STEPS + 1)
        self.unread: Unread | None = None

    def begin(self, tokens: int) -> None:
        """The first step begins; `tokens` were seen before."""
        self.times.append((time.monotonic(), tokens))

    def note(self, step: int, loss: Tensor, gradient_norm: Tensor, lr: float, tokens: int) -> None:
        """A step has been given to the device; the one before is read."""
        self.read()
        norm = gradient_norm.full_tensor() if isinstance(gradient_norm, DTensor) else gradient_norm
        if self.metrics:
            self.unread = Unread(step, loss, norm, lr, tokens)

    def read(self) -> None:
        """TrainerError where the loss is not finite or has jumped."""
        if self.unread is None or self.metrics is None:
            return
        seen, self.unread = self.unread, None
        loss, norm = torch.stack((seen.loss, seen.gradient_norm.to(seen.loss))).tolist()
        if seen.step == self.course.turn + 1:
            self.watch = SpikeWatch()
        self.watch.check(loss, seen.step)
        self.smooth(loss)
        tok_s = self.speed(seen.tokens)
        mfu = {"mfu": round(tok_s * self.share_of_peak, 4)} if self.share_of_peak else {}
        self.metrics.write(
            seen.step, loss=loss, gradient_norm=norm, lr=seen.lr, tokens=seen.tokens, tok_s=round(tok_s, 1), **mfu
        )
        self.progress.step(seen.step, self.course.steps, tokens=seen.tokens, loss=self.mean, tok_s=tok_s)

    def speed(self, tokens: int) -> float:
        self.times.append((time.monotonic(), tokens))
        (began, before), (now, after) = self.times[0], self.times[-1]
        return (after - before) / max(1e-9, now - began)

    def smooth(self, loss: float) -> None:
        self.mean = loss if self.mean is None else SMOOTH * self.mean + (1 - SMOOTH) * loss

    def close(self) -> None:
        if self.metrics:
            self.metrics.close()
