"""Which tokens top-k, then top-p, then min-p leave, as `gpu-service/protocol/truncation.ts` defines it, for many rows.

Each leaves a prefix of the ids ranked by logit (ties: the lower id first). Ranking a vocabulary takes longer than
drawing from it, so what top-p and min-p leave is not made: of a token it is asked whether it is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from outrider_vllm.settings import Sampling

if TYPE_CHECKING:
    from outrider_vllm.sampling import Row


def keep_top_k(logits: Tensor, rows: Sequence[Row]) -> None:
    """Rules out, in place, what is not among a row's top k. `logits`: f32[rows, vocabulary]."""
    vocabulary = logits.shape[-1]
    limited = [index for index, row in enumerate(rows) if 0 < row.sampling.top_k < vocabulary]
    if not limited:
        return
    counts = torch.tensor([rows[index].sampling.top_k for index in limited], device=logits.device)[:, None]
    some = logits[limited]
    ranked = some.topk(int(counts.max()), dim=-1).values
    last = ranked.gather(1, counts - 1)
    places = torch.arange(ranked.shape[-1], device=logits.device)
    ties = ((ranked == last) & (places < counts)).sum(dim=-1, keepdim=True)
    is_last = some == last
    kept = (some > last) | (is_last & (is_last.cumsum(dim=-1) <= ties))
    logits[limited] = some.masked_fill_(~kept, -torch.inf)


class Truncation:
    """Top-p and min-p of many rows. `logits`: f32[rows, vocabulary], cut to the top k; `temperatures`: f64[rows]."""

    def __init__(self, logits: Tensor, samplings: Sequence[Sampling], temperatures: Tensor) -> None:
        def of_rows(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=logits.device)

        self._is_none = all(sampling.top_p == 1 and sampling.min_p == 0 for sampling in samplings)
        if self._is_none:
            return
        self._logits = logits
        self._ids = torch.arange(logits.shape[-1], device=logits.device)
        highest = logits.amax(dim=-1).double()
        self._floor = highest + temperatures * of_rows([sampling.min_p for sampling in samplings]).log()
        self._weights = ((logits.double() - highest[:, None]) / temperatures[:, None]).exp()
        self._top_p = of_rows([sampling.top_p for sampling in samplings])
        self._mass = self._top_p * self._weights.sum(dim=-1)

    def refused(self, tokens: Tensor) -> list[int]:
        """The rows whose token is not among what is left. `tokens`: int64[rows]."""
        if self._is_none:
            return []
        before = (self._weights * self.ranked_before(tokens)).sum(dim=-1)
        is_beyond = (before >= self._mass) & (self._top_p < 1)
        is_below = self._logits.gather(1, tokens[:, None])[:, 0].double() < self._floor
        return (is_beyond | is_below).nonzero()[:, 0].tolist()

    def ranked_before(self, tokens: Tensor) -> Tensor:
        """bool[rows, vocabulary]"""
        own = self._logits.gather(1, tokens[:, None])
        return (self._logits > own) | ((self._logits == own) & (self._ids < tokens[:, None]))
