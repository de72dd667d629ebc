"""A short head in a Hugging Face folder: a row for every id, as everybody expects, in which ours is found again.

The rows of ids that the head does not know are zeros, and generation_config.json names those ids under
`suppress_tokens`, so that transformers' `generate` never says one (a Llama's head has no bias that could).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.llama import Llama

GENERATION_FILE = "generation_config.json"
SUPPRESSED = "suppress_tokens"
HEAD = "lm_head.weight"
HEAD_IDS = "head_ids"


def lengthened(weights: dict[str, Tensor], vocab: int) -> dict[str, Tensor]:
    """A model's weights with a head of `vocab` rows, and without the list of its ids."""
    head, ids = weights[HEAD], weights[HEAD_IDS]
    whole = torch.zeros(vocab, head.shape[1], dtype=head.dtype)
    whole[ids] = head.cpu()
    return {**{name: tensor for name, tensor in weights.items() if name != HEAD_IDS}, HEAD: whole}


def shortened(weights: dict[str, Tensor], ids: Tensor) -> dict[str, Tensor]:
    return {**weights, HEAD: weights[HEAD][ids], HEAD_IDS: ids}


def head_rows(draft: Llama) -> Tensor:
    """Id to row of the head [vocab], -1 where a short head has none."""
    if draft.head_ids is None:
        return torch.arange(draft.c.vocab)
    rows = torch.full((draft.c.vocab,), -1)
    rows[draft.head_ids] = torch.arange(len(draft.head_ids))
    return rows


def write_generation_config(folder: Path, eos_ids: list[int], head_ids: Tensor, vocab: int) -> None:
    unknown = sorted(set(range(vocab)) - set(head_ids.tolist()))
    settings = {"eos_token_id": eos_ids, SUPPRESSED: unknown}
    write_text(folder / GENERATION_FILE, json.dumps(settings) + "\n")


def read_head_ids(folder: Path, rows: int, vocab: int) -> Tensor:
    """The ids that a head of `rows` rows knows, ascending. TrainerError where the folder does not say so."""
    path = folder / GENERATION_FILE
    try:
        suppressed = json.loads(path.read_text(encoding="utf-8"))[SUPPRESSED]
        known = sorted(set(range(vocab)) - {int(id) for id in suppressed})
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainerError(f"{path} does not list the ids that a short head leaves out ({SUPPRESSED!r})") from None
    if len(known) != rows:
        raise TrainerError(f"{path} leaves {len(known)} ids, config.json says that the head knows {rows}")
    return torch.tensor(known)
