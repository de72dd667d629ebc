"""Batches of texts that a target wrote, for teaching a draft: which texts a step has, and their tensors."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.texts import Text

STRETCH = 0.25
"""Texts sorted by length at a time, as a share of a batch's tokens: so many batches that each holds little padding."""


class Batches:
    """Batch number to texts: every epoch in a new order, each batch of at most `tokens` ids, padding counted."""

    def __init__(self, texts: list[Text], tokens: int, seed: int) -> None:
        self.texts, self.tokens, self.seed = texts, tokens, seed
        self.planned: list[list[int]] = []
        self.epochs = 0

    def at(self, step: int) -> list[Text]:
        while len(self.planned) <= step:
            self.planned += self.plan(random.Random(f"{self.seed} {self.epochs}"))
            self.epochs += 1
        return [self.texts[i] for i in self.planned[step]]

    def plan(self, r: random.Random) -> list[list[int]]:
        order = list(range(len(self.texts)))
        r.shuffle(order)
        batches: list[list[int]] = []
        stretch = max(1, int(STRETCH * self.tokens))
        for start in range(0, len(order), stretch):
            batch: list[int] = []
            for i in sorted(order[start : start + stretch], key=lambda i: len(self.texts[i].ids)):
                if batch and (len(batch) + 1) * len(self.texts[i].ids) > self.tokens:
                    batches.append(batch)
                    batch = []
                batch.append(i)
            batches.append(batch)
        r.shuffle(batches)
        return batches


def pack(texts: list[Text]) -> tuple[Tensor, Tensor]:
    """Right-padded input ids [B,S] and where they stand before a response token [B,S]; the last id is never input."""
    width = max(len(text.ids) for text in texts) - 1
    ids = torch.zeros(len(texts), width, dtype=torch.long)
    before = torch.zeros(len(texts), width, dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids) - 1] = torch.from_numpy(text.ids[:-1].astype(np.int64))
        before[row, text.prompt - 1 : len(text.ids) - 1] = True
    return ids, before


@dataclass(frozen=True)
class Batch:
    """Packed texts; `places` [N] are the positions of `ids` (flattened) that stand before the N response tokens."""

    ids: Tensor
    places: Tensor
    top_ids: Tensor
    top_logits: Tensor
    logsumexp: Tensor

    def on(self, device: torch.device) -> Batch:
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


def batch_of(texts: list[Text], device: torch.device) -> Batch:
    """Still on the CPU; in pinned memory for a GPU, so that nobody waits for the copy."""
    ids, before = pack(texts)
    tensors = (
        ids,
        torch.nonzero(before.flatten())[:, 0],
        joined([text.top_ids for text in texts], np.int32),
        joined([text.top_logits for text in texts], np.float16),
        joined([text.logsumexp for text in texts], np.float32),
    )
    return Batch(*(tensor.pin_memory() if device.type == "cuda" else tensor for tensor in tensors))


def joined(arrays: list[NDArray[Any]], dtype: type) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(dtype, copy=False))


class Ahead:
    """What `make` gives for a step, made by a thread of its own while the step before runs."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self.make = make
        self.thread = ThreadPoolExecutor(1)
        self.coming: tuple[int, Future[Batch]] | None = None

    def at(self, step: int) -> Batch:
        ready = self.coming[1] if self.coming and self.coming[0] == step else self.thread.submit(self.make, step)
        self.coming = step + 1, self.thread.submit(self.make, step + 1)
        return ready.result()
