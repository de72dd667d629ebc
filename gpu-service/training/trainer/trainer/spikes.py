"""A loss that leaves its course: training is stopped while the last checkpoint is still a good one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

from trainer.errors import TrainerError

WINDOW = 64
"""Steps that say what is usual."""
PATIENCE = 3
"""Steps in a row that must stand out: one bad batch is no divergence."""
DEVIATIONS = 8.0
SHARE = 0.25
"""Of the usual loss, that a step must stand out by at least."""


class SpikeWatch:
    """Fed with the loss of every step; the same losses give the same verdict, also after a resume."""

    def __init__(self, before: Iterable[float] = ()) -> None:
        self.usual: deque[float] = deque(maxlen=WINDOW)
        self.spikes: list[float] = []
        for loss in before:
            self.note(loss)

    def check(self, loss: float, step: int) -> None:
        """TrainerError where the loss is not a number, or where it has jumped up and stays there."""
        if not math.isfinite(loss):
            raise TrainerError(f"the loss is {loss} at step {step}; go on from the last checkpoint with a lower --lr")
        self.note(loss)
        if len(self.spikes) >= PATIENCE:
            told = ", ".join(f"{value:.3f}" for value in self.spikes)
            raise TrainerError(
                f"the loss jumped: {told} up to step {step}, after {median(self.usual):.3f}; go on from the last "
                f"checkpoint with a lower --lr or a longer --warmup"
            )

    def note(self, loss: float) -> None:
        if len(self.usual) == WINDOW and loss > self.limit():
            self.spikes.append(loss)
        else:
            self.spikes.clear()
            self.usual.append(loss)

    def limit(self) -> float:
        middle = median(self.usual)
        spread = 1.4826 * median(abs(loss - middle) for loss in self.usual)
        return middle + max(DEVIATIONS * spread, SHARE * abs(middle))
