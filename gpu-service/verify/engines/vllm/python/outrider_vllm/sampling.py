"""Which tokens the target says: argmax over the allowed tokens of logit / temperature + noise, many rows at once.

As `gpu-service/protocol/sampling.ts` defines it: a function of (logits, settings, seed, position, tokens before), of
nothing that was drafted. Temperature 0 is plain argmax; ties go to the lowest id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from outrider_vllm.noise import ROUGH_ERROR, gumbel, noise_bits, position_key, rough_gumbel
from outrider_vllm.settings import Sampling
from outrider_vllm.truncation import allowed_tokens

# Of a row's tokens so many get exact noise; they are the ones that rough noise ranks first.
FINALISTS = 16


@dataclass(frozen=True)
class Row:
    """What a row's draw depends on beside its logits."""

    sampling: Sampling
    position: int
    output: Sequence[int] = ()
    """Output ids before this position, on the path that leads there; read only where there are penalties."""


def choose(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """int64[rows]: the token of each row. `logits`: f32[rows, vocabulary], changed in place by penalties and bias."""
    for index, row in enumerate(rows):
        penalise(logits[index], row)
    tokens = logits.argmax(dim=-1)
    drawn = [index for index, row in enumerate(rows) if row.sampling.temperature > 0]
    if drawn:
        draw = draw_on_cpu if logits.device.type == "cpu" else draw_on_device
        tokens[drawn] = draw(logits[drawn], [rows[index] for index in drawn])
    return tokens


def penalise(logits: Tensor, row: Row) -> None:
    """Presence and frequency penalties, then bias, in place on f32[vocabulary], each sum rounded to f32 once."""
    sampling = row.sampling
    if sampling.has_penalties and row.output:
        counts = Counter(row.output)
        tokens = torch.tensor(list(counts), device=logits.device)
        times = torch.tensor(list(counts.values()), dtype=torch.float64, device=logits.device)
        lowered = logits[tokens].double() - sampling.presence_penalty - sampling.frequency_penalty * times
        logits[tokens] = lowered.float()
    known = [(token, bias) for token, bias in sampling.logit_bias if token < logits.shape[0]]
    if known:
        tokens = torch.tensor([token for token, _ in known], device=logits.device)
        bias = torch.tensor([bias for _, bias in known], dtype=torch.float64, device=logits.device)
        logits[tokens] = (logits[tokens].double() + bias).float()


def draw_on_cpu(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """As `draw_on_device`, row by row in compiled code."""
    from outrider_vllm.cpu_draw import draw_row

    truncate(logits, rows)
    tokens = []
    for values, row in zip(logits.numpy(), rows, strict=True):
        first, second = position_key(row.sampling.seed, row.position)
        tokens.append(draw_row(values, row.sampling.temperature, np.uint64(first), np.uint64(second)))
    return torch.tensor(tokens)


def draw_on_device(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """int64[rows], of rows whose temperature is above 0, all at once. `logits`: f32[rows, vocabulary], truncated."""
    temperatures = torch.tensor([row.sampling.temperature for row in rows], dtype=torch.float64, device=logits.device)
    truncate(logits, rows)
    keys = [position_key(row.sampling.seed, row.position) for row in rows]
    vocabulary = logits.shape[-1]
    every = torch.arange(vocabulary, dtype=torch.int32, device=logits.device)
    rough = rough_gumbel(noise_bits(keys, every))
    rough.addcdiv_(logits, temperatures.float()[:, None].expand_as(logits))
    bound, finalists = rough.topk(min(FINALISTS, vocabulary), dim=-1)
    best, tokens = exact_best(logits, finalists, keys, temperatures)
    # Whoever is no finalist has at most the last one's rough score; rarely is that not enough to rule it out.
    is_open = (bound[:, -1].double() + ROUGH_ERROR >= best).tolist() if vocabulary > FINALISTS else []
    for index in (i for i, unsure in enumerate(is_open) if unsure):
        whole = every.long()[None]
        _, tokens[index : index + 1] = exact_best(
            logits[index : index + 1], whole, keys[index : index + 1], temperatures[index : index + 1]
        )
    return tokens


def truncate(logits: Tensor, rows: Sequence[Row]) -> None:
    """Rules out, in place, what top-k, top-p and min-p leave no chance."""
    for index, row in enumerate(rows):
        if row.sampling.is_truncated:
            logits[index].masked_fill_(~allowed_tokens(logits[index], row.sampling), -torch.inf)


def exact_best(
    logits: Tensor, candidates: Tensor, keys: list[tuple[int, int]], temperatures: Tensor
) -> tuple[Tensor, Tensor]:
    """Best exact score and its token, the lowest id of equals. `candidates`: int64[rows, n]."""
    candidates = candidates.sort(dim=-1).values
    noise = gumbel(noise_bits(keys, candidates.int()))
    scores = logits.gather(1, candidates).double() / temperatures[:, None] + noise
    best = scores.amax(dim=-1)
    first = (scores == best[:, None]).int().argmax(dim=-1)
    return best, candidates.gather(1, first[:, None])[:, 0]
