"""Which tokens top-k, then top-p, then min-p leave, as `gpu-service/protocol/truncation.ts` defines it.

Each leaves a prefix of the ids ranked by logit (ties: the lower id first), so the answer is a number of ids and the
logit of the last.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from outrider_vllm.settings import Sampling

# So many of the highest logits are ranked at first; all of them only where these do not suffice.
RANKED_AT_FIRST = 1024


def allowed_tokens(logits: Tensor, sampling: Sampling) -> Tensor:
    """bool[vocabulary]. `logits`: f32[vocabulary]; the temperature is above 0."""
    kept = torch.ones_like(logits, dtype=torch.bool)
    if sampling.top_k > 0 or sampling.top_p < 1:
        for count in (min(RANKED_AT_FIRST, len(logits)), len(logits)):
            ranked = logits.topk(count).values
            number = _count_kept(ranked, logits, sampling)
            if number is not None:
                kept = _first_of(logits, ranked, number)
                break
    if sampling.min_p > 0:
        floor = logits.max().double() + sampling.temperature * math.log(sampling.min_p)
        kept &= logits.double() >= floor
    return kept


def _count_kept(ranked: Tensor, logits: Tensor, sampling: Sampling) -> int | None:
    """How many of the ranked logits are left; None if that takes more than there are."""
    is_all = len(ranked) == len(logits)
    if sampling.top_k > len(ranked) and not is_all:
        return None
    most = min(sampling.top_k, len(ranked)) if sampling.top_k > 0 else len(ranked)
    if sampling.top_p == 1:
        return most
    weights = ((ranked[:most].double() - ranked[0].double()) / sampling.temperature).exp()
    # Without top-k the nucleus is a share of all tokens; with it, of the k that are left.
    pool = weights if sampling.top_k > 0 else ((logits.double() - ranked[0].double()) / sampling.temperature).exp()
    is_enough = weights.cumsum(0) >= sampling.top_p * pool.sum()
    if bool(is_enough.any()):
        return int(is_enough.int().argmax()) + 1
    return most if sampling.top_k > 0 or is_all else None


def _first_of(logits: Tensor, ranked: Tensor, number: int) -> Tensor:
    """Those with the `number` highest logits; of those that equal the last, the lower ids."""
    last = ranked[number - 1]
    ties = (ranked[:number] == last).sum()
    is_last = logits == last
    return (logits > last) | (is_last & (is_last.cumsum(0) <= ties))
