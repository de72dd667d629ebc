"""Training in turns: what both sides of the comparison are given, and what they report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import torch

from trainer.hardware import measured_flops

STEPS = 100_000
"""More than are ever done: the standard input ends first."""
LR = 1e-3


class Turns:
    """Between two turns the process waits; the waiting is not counted."""

    def __init__(self, steps: int, tokens: int) -> None:
        self.steps, self.tokens = steps, tokens
        self.done = 0
        self.began = 0.0

    def before_step(self, loss: Callable[[], float]) -> None:
        if self.done % self.steps == 0:
            if self.done:
                self.report(time.perf_counter() - self.began, loss())
            if not sys.stdin.readline():
                sys.stdout.flush()
                os._exit(0)
            self.began = time.perf_counter()
        self.done += 1

    def report(self, seconds: float, loss: float) -> None:
        """The peak is measured beside each turn, so that what else the machine does strikes both alike."""
        peak = measured_flops(torch.device("cpu"), torch.bfloat16)
        told = {"seconds": seconds, "tokens": self.steps * self.tokens, "loss": loss, "peak_flops": peak}
        print(json.dumps(told), flush=True)


def rows(args: argparse.Namespace, number: int) -> torch.Tensor:
    """Ids [batch, sequence + 1] of step `number`: a walk through the vocabulary, which can be learnt."""
    r = torch.Generator().manual_seed(number)
    start = torch.randint(0, args.vocab, (args.batch, 1), generator=r)
    return (start + torch.randint(0, 7, (args.batch, args.sequence + 1), generator=r).cumsum(1)) % args.vocab
