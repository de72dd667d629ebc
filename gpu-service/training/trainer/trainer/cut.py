"""A draft's first weights, taken from its target: some layers, the embedding, and a short head by frequency."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.texts import Text
from trainer.vocabulary import Vocabulary


def cut(target: Llama, layers: list[int], context: int, head_ids: Tensor | None) -> Llama:
    """A draft of the target's layers `layers`; with `head_ids` [rows] its head knows those ids only."""
    unknown = [layer for layer in layers if not 0 <= layer < target.c.layers]
    if unknown or not layers:
        raise TrainerError(f"the target has layers 0 to {target.c.layers - 1}; cannot cut {unknown or 'no layer'}")
    short = head_ids is not None
    config = replace(
        target.c,
        layers=len(layers),
        context=min(context, target.c.context),
        tied=target.c.tied and not short,
        head_rows=len(head_ids) if head_ids is not None else None,
    )
    draft = Llama(config)
    weights = {
        name: weight
        for name, weight in target.state_dict().items()
        if not name.startswith("layers.") and not (short and name.startswith("lm_head"))
    }
    for to, source in enumerate(layers):
        part = target.layers[source].state_dict()
        weights |= {f"layers.{to}.{name}": weight for name, weight in part.items()}
    if head_ids is not None:
        weights |= {"lm_head.weight": target.head[head_ids].clone(), "head_ids": head_ids}
    draft.load_state_dict(weights)
    return draft


def with_short_head(draft: Llama, head_ids: Tensor) -> Llama:
    """The same draft whose head keeps only the rows of `head_ids`."""
    if draft.c.head_rows is not None:
        return draft
    short = Llama(replace(draft.c, tied=False, head_rows=len(head_ids)))
    weights = {name: weight for name, weight in draft.state_dict().items() if not name.startswith("lm_head")}
    short.load_state_dict({**weights, "lm_head.weight": draft.head[head_ids].clone(), "head_ids": head_ids})
    return short


def frequent_ids(texts: list[Text], vocabulary: Vocabulary, rows: int) -> Tensor:
    """The `rows` ids that the target's answers use most, ascending; special ids are always among them."""
    if rows >= vocabulary.size:
        raise TrainerError(f"a short head of {rows} rows is no shorter than the vocabulary ({vocabulary.size})")
    ids = torch.from_numpy(np.concatenate([text.ids[text.prompt :] for text in texts])).long()
    counts = torch.bincount(ids, minlength=vocabulary.size)[: vocabulary.size].double()
    counts[sorted({*vocabulary.special_ids, *vocabulary.stop_ids})] = float("inf")
    return counts.argsort(descending=True, stable=True)[:rows].sort().values
