"""Stage `distil`: teach a draft to foresee its target, on texts that the target wrote (stage `generate`).

The draft is cut from the target (`--layers`) or taken from a folder (`--draft`). With `--head-rows` its head knows
only the most frequent ids. From `--quantise-from` of the steps on it computes with the weights of the image.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer import training
from trainer.checkpoint import read_model, write_model
from trainer.cut import cut, frequent_ids, with_short_head
from trainer.device import add_device, device_of
from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.loss import DistilLoss, Mix, listed_shares
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.texts import Text, read_texts
from trainer.tokenize import copy_tokenizer
from trainer.vocabulary import Vocabulary

SHORTEST_RESPONSE = 4
STRETCH = 0.25
"""Texts sorted by length at a time, as a share of a batch's tokens: so many batches that each holds little padding."""


def first_draft(args: argparse.Namespace, texts: list[Text]) -> Llama:
    vocabulary = Vocabulary.read(args.target)
    head_ids = frequent_ids(texts, vocabulary, args.head_rows) if args.head_rows else None
    if args.layers:
        return cut(read_model(args.target), args.layers, args.context, head_ids)
    if not args.draft:
        raise TrainerError("name the draft to begin with: --layers of the target, or a --draft folder")
    draft = read_model(args.draft)
    return draft if head_ids is None else with_short_head(draft, head_ids)


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


def loss_of(draft: Llama, batches: Batches, mix: Mix) -> Callable[[int], tuple[Tensor, int]]:
    """The loss by step number, on the draft's device; nothing is waited for there."""
    device = draft.head.device
    row_of = head_rows(draft).to(device)
    states = torch.compile(draft.hidden, dynamic=True) if device.type == "cuda" else draft.hidden
    ahead = Ahead(lambda step: batch_of(batches.at(step), device))

    def loss_at(step: int) -> tuple[Tensor, int]:
        batch = ahead.at(step).on(device)
        rows = row_of[batch.top_ids]
        listed = rows >= 0
        p = listed_shares(batch.top_logits, batch.logsumexp, listed)
        with torch.autocast(device.type, torch.bfloat16):
            hidden = states(batch.ids).flatten(0, 1)[batch.places]
        loss: Tensor = DistilLoss.apply(  # type: ignore[no-untyped-call]
            hidden.float(), draft.head, rows.clamp(min=0), p, listed, mix
        )
        return loss, len(rows)

    return loss_at


def joined(arrays: list[NDArray[Any]], dtype: type) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(dtype, copy=False))


def head_rows(draft: Llama) -> Tensor:
    """Id to row of the head [vocab], -1 where a short head has none."""
    if draft.head_ids is None:
        return torch.arange(draft.c.vocab)
    rows = torch.full((draft.c.vocab,), -1)
    rows[draft.head_ids] = torch.arange(len(draft.head_ids))
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="folders of stage `generate`")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--draft", type=Path, help="folder of the draft to begin with")
    parser.add_argument("--layers", type=int, nargs="+", help="or: cut it from these layers of the target")
    parser.add_argument("--context", type=int, default=2048, help="longest text of a cut draft")
    parser.add_argument("--head-rows", type=int, default=0, help="ids that the head knows (0: all)")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per batch, padding counted")
    parser.add_argument("--forward-kl", type=float, default=1.0, help="how much this distance counts (default: 1)")
    parser.add_argument("--reverse-kl", type=float, default=0.0, help="the same (default: 0)")
    parser.add_argument("--total-variation", type=float, default=0.0, help="the same (default: 0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--body-bits", type=int, default=8)
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=8)
    parser.add_argument("--quantise-from", type=float, default=0.67, help="share of the steps")
    parser.add_argument("--out", type=Path, required=True, help="folder for the draft")
    add_device(parser)
    training.add_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    torch.manual_seed(args.seed)
    device = device_of(args.device)
    texts = [text for folder in args.texts for text in read_texts(folder) if text.response >= SHORTEST_RESPONSE]
    progress.say(f"{len(texts)} texts, {sum(text.response for text in texts):,} tokens by the target")
    draft = first_draft(args, texts).to(device)
    schedule = replace(
        training.schedule_of(args),
        quantisation=Quantisation(args.body_bits, args.embedding_bits, args.head_bits),
        quantise_from=args.quantise_from,
    )
    mix = Mix(args.forward_kl, args.reverse_kl, args.total_variation)
    training.train(draft, loss_of(draft, Batches(texts, args.tokens, args.seed), mix), schedule, args.out, progress)
    copy_tokenizer(args.target, args.out)
    write_model(draft, args.out, Vocabulary.read(args.target).stop_ids, torch.float32)
