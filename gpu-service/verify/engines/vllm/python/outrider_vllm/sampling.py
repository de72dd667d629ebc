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
from outrider_vllm.truncation import Truncation, keep_top_k

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
    """int64[rows]: the token of each row. `logits`: f32[rows, vocabulary], which may be changed in place."""
    for index, row in enumerate(rows):
        if row.sampling.has_penalties or row.sampling.logit_bias:
            penalise(logits[index], row)
    tokens = torch.empty(len(rows), dtype=torch.int64, device=logits.device)
    greedy = [index for index, row in enumerate(rows) if row.sampling.temperature == 0]
    drawn = [index for index, row in enumerate(rows) if row.sampling.temperature > 0]
    if greedy:
        tokens[greedy] = _rows_of(logits, greedy).argmax(dim=-1)
    if drawn:
        draw = draw_on_cpu if logits.device.type == "cpu" else draw_on_device
        tokens[drawn] = draw(_rows_of(logits, drawn), [rows[index] for index in drawn])
    return tokens


def _rows_of(logits: Tensor, rows: list[int]) -> Tensor:
    """Those rows; no copy where they are all."""
    return logits if len(rows) == len(logits) else logits[rows]


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
    from outrider_vllm.cpu_draw import draw_rows

    samplings = [row.sampling for row in rows]
    settings = np.array([(one.temperature, one.top_k, one.top_p, one.min_p) for one in samplings], dtype=np.float64)
    keys = np.array([position_key(row.sampling.seed, row.position) for row in rows], dtype=np.uint32)
    tokens = np.empty(len(rows), dtype=np.int64)
    draw_rows(logits.numpy(), settings, keys, tokens)
    return torch.from_numpy(tokens)


def draw_on_device(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """int64[rows], of rows whose temperature is above 0, all at once. `logits`: f32[rows, vocabulary]."""
    keep_top_k(logits, rows)
    keys = [position_key(row.sampling.seed, row.position) for row in rows]
    temperatures = torch.tensor([row.sampling.temperature for row in rows], dtype=torch.float64, device=logits.device)
    tokens = best_of(logits, keys, temperatures)
    truncation = Truncation(logits, [row.sampling for row in rows], temperatures)
    while refused := truncation.refused(tokens):
        # What is left are tokens that are ranked before a refused one.
        left = logits[refused].masked_fill_(~truncation.ranked_before(tokens)[refused], -torch.inf)
        tokens[refused] = best_of(left, [keys[index] for index in refused], temperatures[refused])
    return tokens


def best_of(logits: Tensor, keys: list[tuple[int, int]], temperatures: Tensor) -> Tensor:
    """int64[rows]: the best score among all tokens. -inf rules a token out."""
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
