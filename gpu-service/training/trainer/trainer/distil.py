"""Stage `distil`: teach a draft to foresee its target, on texts that the target wrote (stage `generate`).

The draft is cut from the target (`--layers`) or taken from a folder (`--draft`). With `--head-rows` its head knows
only the most frequent ids. From `--quantise-from` of the steps on it computes with the weights of the image.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer import training
from trainer.checkpoint import read_model, write_model
from trainer.cut import cut, frequent_ids, with_short_head
from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.loss import DistilLoss, listed_shares
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.texts import Text, read_texts
from trainer.vocabulary import Vocabulary

SHORTEST_RESPONSE = 4
STRETCH = 512
"""Texts sorted by length at a time, so that a batch holds little padding."""


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
        for start in range(0, len(order), STRETCH):
            batch: list[int] = []
            for i in sorted(order[start : start + STRETCH], key=lambda i: len(self.texts[i].ids)):
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


def loss_of(draft: Llama, batches: Batches) -> Callable[[int], tuple[Tensor, int]]:
    row_of = head_rows(draft)

    def loss_at(step: int) -> tuple[Tensor, int]:
        texts = batches.at(step)
        ids, before = pack(texts)
        rows = row_of[torch.from_numpy(np.concatenate([text.top_ids for text in texts]).astype(np.int64))]
        p = listed_shares(
            torch.from_numpy(np.concatenate([text.top_logits for text in texts])),
            torch.from_numpy(np.concatenate([text.logsumexp for text in texts])),
            rows >= 0,
        )
        with torch.autocast("cpu", torch.bfloat16):
            hidden = draft.hidden(ids)[before]
        loss: Tensor = DistilLoss.apply(  # type: ignore[no-untyped-call]
            hidden.float(), draft.head, rows.clamp(min=0), p, rows >= 0
        )
        return loss, len(rows)

    return loss_at


def head_rows(draft: Llama) -> Tensor:
    """Id to row of the head [vocab], -1 where a short head has none."""
    if draft.head_ids is None:
        return torch.arange(draft.c.vocab)
    rows = torch.full((draft.c.vocab,), -1)
    rows[draft.head_ids] = torch.arange(len(draft.head_ids))
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=Path, required=True, help="folder of stage `generate`")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--draft", type=Path, help="folder of the draft to begin with")
    parser.add_argument("--layers", type=int, nargs="+", help="or: cut it from these layers of the target")
    parser.add_argument("--context", type=int, default=2048, help="longest text of a cut draft")
    parser.add_argument("--head-rows", type=int, default=0, help="ids that the head knows (0: all)")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per batch, padding counted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--body-bits", type=int, default=8)
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=8)
    parser.add_argument("--quantise-from", type=float, default=0.67, help="share of the steps")
    parser.add_argument("--out", type=Path, required=True, help="folder for the draft")
    training.add_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    torch.manual_seed(args.seed)
    texts = [text for text in read_texts(args.texts) if text.response >= SHORTEST_RESPONSE]
    progress.say(f"{len(texts)} texts, {sum(text.response for text in texts):,} tokens by the target")
    draft = first_draft(args, texts)
    schedule = replace(
        training.schedule_of(args),
        quantisation=Quantisation(args.body_bits, args.embedding_bits, args.head_bits),
        quantise_from=args.quantise_from,
    )
    training.train(draft, loss_of(draft, Batches(texts, args.tokens, args.seed)), schedule, args.out, progress)
    write_model(draft, args.out, Vocabulary.read(args.target).stop_ids, torch.float32)
