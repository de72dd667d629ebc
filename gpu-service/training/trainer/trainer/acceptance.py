"""How well a draft foresees its target, on texts that the target wrote.

`greedy`: share of positions whose likeliest id is the target's (texts at temperature 0).
`one_minus_tv`: mean of sum_i min(p_i, q_i) at temperature 1, the most that any sampling can have in common; the
target's tail beyond the stored ids is not counted, so the figure errs on the low side.
`accepted_len_4`, `accepted_len_8`: ids accepted of so many drafted, greedily, from each place where a round begins.
`perplexity`: of the draft on what the target drew at temperature 1, over the ids that its head knows.
Of a long prompt the draft reads what it reads at the edge (`window.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import exp
from statistics import mean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.batches import pack
from trainer.device import sent
from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.short_head import head_rows
from trainer.texts import Text
from trainer.window import EDGE_WINDOW, unread

ROWS = 16
"""Texts per forward pass."""


@dataclass(frozen=True)
class Acceptance:
    greedy: float
    one_minus_tv: float
    accepted_len_4: float
    accepted_len_8: float
    perplexity: float

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def rounds(matches: list[bool], drafted: int) -> list[int]:
    """Accepted lengths of the rounds that a text is made of; a round cut by the end of the text is left out."""
    lengths, at = [], 0
    while at + drafted < len(matches):
        length = next((i for i in range(drafted) if not matches[at + i]), drafted)
        lengths.append(length)
        at += length + 1
    return lengths


@torch.inference_mode()
def measure(draft: Llama, texts: list[Text], window: int = EDGE_WINDOW) -> dict[str, Acceptance]:
    """Acceptance per domain; the texts must hold each domain at temperature 0 and at 1."""
    greedy: dict[str, list[list[bool]]] = {}
    overlap: dict[str, list[float]] = {}
    surprise: dict[str, list[float]] = {}
    head = draft.head
    device = head.device
    row_of = head_rows(draft).to(device)
    ordered = sorted((seen(text, window) for text in texts), key=lambda text: len(text.ids))
    for start in range(0, len(ordered), ROWS):
        group = ordered[start : start + ROWS]
        ids, before = pack(group)
        hidden = draft.hidden(sent(ids, device))
        for text, states, chosen in zip(group, hidden, sent(before, device), strict=True):
            logits = F.linear(states[chosen], head)
            top = sent(torch.from_numpy(text.top_ids.astype(np.int64)), device)
            if text.temperature == 0:
                matches = (logits.argmax(-1) == row_of[top[:, 0]]).tolist()
                greedy.setdefault(text.domain, []).append(matches)
            elif text.temperature == 1:
                overlap.setdefault(text.domain, []).extend(shared(logits, text, row_of[top]))
                answer = sent(torch.from_numpy(text.ids[text.prompt :].astype(np.int64)), device)
                surprise.setdefault(text.domain, []).extend(surprises(logits, row_of[answer]))
    domains = sorted(greedy.keys() & overlap.keys())
    if not domains:
        raise TrainerError("no domain has texts at temperature 0 and at temperature 1: use prompts written by --held")
    return {domain: acceptance(greedy[domain], overlap[domain], surprise[domain]) for domain in domains}


def acceptance(greedy: list[list[bool]], overlap: list[float], surprise: list[float]) -> Acceptance:
    of_4, of_8 = (mean([n for matches in greedy for n in rounds(matches, drafted)] or [0]) for drafted in (4, 8))
    match = mean(match for matches in greedy for match in matches)
    return Acceptance(match, mean(overlap), of_4, of_8, exp(mean(surprise or [0])))


def seen(text: Text, window: int) -> Text:
    """The text without what the draft does not read of its prompt."""
    cut = unread(text.prompt, window)
    return replace(text, prompt=text.prompt - cut, ids=text.ids[cut:])


def surprises(logits: Tensor, rows: Tensor) -> list[float]:
    """-log q of what stands there, where the head knows it."""
    known = rows >= 0
    found: list[float] = (-logits.log_softmax(-1)[known].gather(1, rows[known, None])[:, 0]).tolist()
    return found


def shared(logits: Tensor, text: Text, rows: Tensor) -> list[float]:
    """Per position, the probability that target and draft have in common."""
    q = logits.softmax(-1).gather(1, rows.clamp(min=0)) * (rows >= 0)
    p = (torch.from_numpy(text.top_logits).float() - torch.from_numpy(text.logsumexp)[:, None]).exp()
    common: list[float] = torch.minimum(p.to(q.device), q).sum(-1).tolist()
    return common
