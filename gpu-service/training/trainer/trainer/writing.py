"""Lets a model write many texts at a time, and keeps the largest logits of every token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.errors import TrainerError
from trainer.llama import Cache, Llama
from trainer.texts import Text

PREFILL_ROWS = {"cpu": 16, "cuda": 256}
"""Sequences prefilled at a time, by kind of device: bounds the memory of their attention."""

COMPACT_BELOW = 0.85
"""Finished sequences are moved out of the batch once fewer than this share still runs."""

SMALLEST = 1e-12


@dataclass(frozen=True)
class Job:
    """One text to write: prompt ids and the temperature of its draws (0: greedy)."""

    prompt: list[int]
    temperature: float
    domain: str


@torch.inference_mode()
def write(
    model: Llama, jobs: list[Job], new: int, top: int, stop_ids: list[int], random: torch.Generator
) -> list[Text]:
    """Up to `new` tokens for each job, with the `top` largest logits and the logsumexp at every one.

    All of it stays where the model is (as `random` must be) until the last token is written.
    """
    device = model.head.device
    longest = max(len(job.prompt) for job in jobs)
    pad = torch.tensor([longest - len(job.prompt) for job in jobs], device=device)
    ids = torch.tensor([[0] * (longest - len(job.prompt)) + job.prompt for job in jobs], device=device)
    temperature = torch.tensor([job.temperature for job in jobs], device=device)
    stops = torch.tensor(stop_ids, device=device)
    cache = Cache(model.c, pad, longest + new, model.head.dtype)
    state = prefill(model, ids, cache)
    written = Written(len(jobs), new, top, device)
    running = torch.arange(len(jobs), device=device)
    alive = torch.ones(len(jobs), dtype=torch.bool, device=device)
    for step in range(new):
        logits = logits_of(state, model.head)
        best, best_ids = logits.topk(top, -1)
        drawn = draw(logits, best, best_ids, temperature[running], random)
        if model.head_ids is not None:
            drawn, best_ids = model.head_ids[drawn], model.head_ids[best_ids]
        written.put(running, step, drawn, best_ids, best, logits.logsumexp(-1))
        alive &= ~torch.isin(drawn, stops)
        share = float(alive.float().mean())
        if step == new - 1 or share == 0:
            break
        if share <= COMPACT_BELOW:
            running, drawn, cache, alive = running[alive], drawn[alive], cache.rows(alive), alive[alive]
        state = model.decode(drawn[:, None], cache, longest + step)
    return written.texts(jobs, stop_ids)


def prefill(model: Llama, ids: Tensor, cache: Cache) -> Tensor:
    """Put left-padded prompts [B,S] into the cache; the states [B,hidden] after their last tokens."""
    rows = PREFILL_ROWS[ids.device.type]
    parts = [slice(at, at + rows) for at in range(0, len(ids), rows)]
    return torch.cat([model.decode(ids[part], cache.rows(part), 0) for part in parts])


def logits_of(state: Tensor, head: Tensor) -> Tensor:
    """float32 logits. A GPU sums and keeps them in that, so that close ids are told apart; a CPU is too slow at it."""
    return F.linear(state.float(), head.float()) if state.is_cuda else F.linear(state, head).float()


def draw(logits: Tensor, best: Tensor, best_ids: Tensor, temperature: Tensor, random: torch.Generator) -> Tensor:
    """One id per row: the likeliest at temperature 0, else an exact draw (the tail is looked at where it is hit)."""
    greedy = best_ids[:, 0]
    if not bool((temperature > 0).any()):
        return greedy
    heat = temperature.clamp(min=1e-3)[:, None]
    shares = (best / heat - (logits / heat).logsumexp(-1, keepdim=True)).exp().cumsum(-1)
    place = (shares < torch.rand(len(best), 1, generator=random, device=best.device)).sum(-1)
    drawn = best_ids.gather(1, place.clamp(max=best.shape[1] - 1)[:, None])[:, 0]
    hit = torch.nonzero((place >= best.shape[1]) & (temperature > 0))[:, 0]
    if len(hit):
        tail = (logits[hit] / heat[hit]).softmax(-1).clamp(min=SMALLEST).scatter(1, best_ids[hit], 0.0)
        drawn[hit] = torch.multinomial(tail, 1, generator=random)[:, 0]
    return torch.where(temperature > 0, drawn, greedy)


class Written:
    """What a batch has written so far: one row per job, one column per token."""

    def __init__(self, jobs: int, new: int, top: int, device: torch.device) -> None:
        self.ids = torch.zeros(jobs, new, dtype=torch.int32, device=device)
        self.top_ids = torch.zeros(jobs, new, top, dtype=torch.int32, device=device)
        self.top_logits = torch.zeros(jobs, new, top, dtype=torch.float16, device=device)
        self.logsumexp = torch.zeros(jobs, new, device=device)
        self.steps = 0

    def put(self, rows: Tensor, step: int, ids: Tensor, top_ids: Tensor, top_logits: Tensor, logsumexp: Tensor) -> None:
        self.ids[rows, step] = ids.int()
        self.top_ids[rows, step] = top_ids.int()
        self.top_logits[rows, step] = top_logits.half()
        self.logsumexp[rows, step] = logsumexp
        self.steps = step + 1

    def texts(self, jobs: list[Job], stop_ids: list[int]) -> list[Text]:
        """Each up to and with its first stop id (a finished row may have run on until the batch was compacted)."""
        ids, top_ids, top_logits, logsumexp = (
            array[:, : self.steps].cpu().numpy() for array in (self.ids, self.top_ids, self.top_logits, self.logsumexp)
        )
        if not np.isfinite(logsumexp).all():
            raise TrainerError("the target's logits are not finite: its weights overflow or are broken")
        stopped = np.isin(ids, stop_ids)
        ends = np.where(stopped.any(1), stopped.argmax(1) + 1, self.steps)
        return [
            Text(
                domain=job.domain,
                temperature=job.temperature,
                prompt=len(job.prompt),
                ids=np.concatenate([np.array(job.prompt, np.int32), ids[row, :end]]),
                top_ids=top_ids[row, :end],
                top_logits=top_logits[row, :end],
                logsumexp=logsumexp[row, :end],
            )
            for row, (job, end) in enumerate(zip(jobs, ends.tolist(), strict=True))
        ]
