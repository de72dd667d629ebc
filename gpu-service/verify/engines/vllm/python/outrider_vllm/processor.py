"""Seeded sampling inside vLLM's own greedy verification.

A request is greedy to vLLM and says in `extra_args` how it is really sampled. Its rows' logits are replaced by ones
whose argmax is the seeded draw; vLLM then accepts a draft iff it equals that. Only copies of the logits are changed, so
raw logprobs stay the target's. The place is a subclass of the one processor that vLLM runs on draft rows as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from outrider_vllm.private import (
    MinTokensLogitsProcessor,
    RejectionSampler,
    process_dict_updates,
    replace_builtin_processor,
)
from outrider_vllm.sampling import Row, choose
from outrider_vllm.settings import KEY, Sampling, read_sampling


class Draws:
    """One request: its settings, and its text so far as vLLM keeps it."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], output: Sequence[int]) -> None:
        self.sampling = sampling
        self.length = len(prompt)
        self.confirmed = list(prompt[len(prompt) - sampling.confirmed :]) if sampling.has_penalties else []
        self.output = output

    def row(self, drafted: Sequence[int]) -> Row:
        """The row that follows the text and then `drafted`."""
        output = [*self.confirmed, *self.output, *drafted] if self.sampling.has_penalties else ()
        return Row(self.sampling, self.length + len(self.output) + len(drafted), output)


class SeededProcessor(MinTokensLogitsProcessor):
    """Draft ids of the verification in progress, per request; empty while none is. Set around the rejection sampler."""

    drafted: tuple[tuple[int, ...], ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.draws: dict[int, Draws] = {}
        # What is compiled at its first use is compiled now, not under the first request.
        choose(torch.zeros(1, 2, device=self.device), [Row(Sampling(temperature=1.0, seed=0), 0)])

    def update_state(self, batch_update: Any) -> None:
        process_dict_updates(self.draws, batch_update, _draws_of)
        super().update_state(batch_update)

    def apply(self, logits: Tensor) -> Tensor:
        """Rows that follow all drafts of their request: one per request."""
        logits = super().apply(logits)
        drafted = type(self).drafted
        rows = {
            index: draws.row(drafted[index] if drafted else ())
            for index, draws in self.draws.items()
            if index < logits.shape[0]
        }
        return _replace(logits, rows)

    def apply_with_spec_decode(self, logits: Tensor, num_draft_tokens: list[int]) -> Tensor:
        """Rows before each draft, those of a request one after the other."""
        logits = super().apply_with_spec_decode(logits, num_draft_tokens)
        rows: dict[int, Row] = {}
        first = 0
        for index, count in enumerate(num_draft_tokens):
            draws = self.draws.get(index)
            for place in range(count if draws else 0):
                rows[first + place] = draws.row(type(self).drafted[index][:place])
            first += count
        return _replace(logits, rows)


def install() -> None:
    """In this process, before its model runner is made. A second time changes nothing."""
    if getattr(RejectionSampler.forward, "tells_drafted", False):
        return
    replace_builtin_processor(SeededProcessor)
    forward = RejectionSampler.forward

    def telling(self: Any, metadata: Any, *args: Any, **kwargs: Any) -> Any:
        SeededProcessor.drafted = _split(metadata.draft_token_ids.tolist(), metadata.num_draft_tokens)
        try:
            return forward(self, metadata, *args, **kwargs)
        finally:
            SeededProcessor.drafted = ()

    telling.tells_drafted = True  # type: ignore[attr-defined]
    RejectionSampler.forward = telling


def _draws_of(params: Any, prompt: list[int] | None, output: list[int]) -> Draws | None:
    fields = (params.extra_args or {}).get(KEY)
    if fields is None:
        return None
    sampling = read_sampling(fields)
    return None if sampling.is_plain else Draws(sampling, prompt or [], output)


def _replace(logits: Tensor, rows: dict[int, Row]) -> Tensor:
    """Logits of which those rows say the token drawn: it is by far the likeliest."""
    if not rows:
        return logits
    indices = list(rows)
    some = logits if indices == list(range(len(logits))) else logits[indices]
    tokens = choose(some.float(), list(rows.values()))
    logits[torch.tensor(indices, device=logits.device), tokens] = torch.finfo(logits.dtype).max
    return logits


def _split(ids: list[int], counts: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    parts, start = [], 0
    for count in counts:
        parts.append(tuple(ids[start : start + count]))
        start += count
    return tuple(parts)
