"""Stage `distil`: teach a draft to foresee its target, on texts that the target wrote (stage `generate`).

The draft is cut from the target (`--layers`) or taken from a folder (`--draft`). With `--head-rows` its head knows
only the most frequent ids. From `--quantise-from` of the steps on it computes with the weights of the image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from trainer.batches import Ahead, Batches, batch_of
from trainer.checkpoint import read_model, write_model
from trainer.cut import cut, frequent_ids, with_short_head
from trainer.device import add_device, device_of
from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.loss import DistilLoss, Mix, listed_shares
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.schedule import add_arguments as add_schedule
from trainer.schedule import schedule_of
from trainer.short_head import head_rows
from trainer.texts import Text, read_texts
from trainer.tokenize import copy_tokenizer
from trainer.training import train
from trainer.vocabulary import Vocabulary

SHORTEST_RESPONSE = 4


def first_draft(args: argparse.Namespace, texts: list[Text]) -> Llama:
    vocabulary = Vocabulary.read(args.target)
    head_ids = frequent_ids(texts, vocabulary, args.head_rows) if args.head_rows else None
    if args.layers:
        return cut(read_model(args.target), args.layers, args.context, head_ids)
    if not args.draft:
        raise TrainerError("name the draft to begin with: --layers of the target, or a --draft folder")
    draft = read_model(args.draft)
    return draft if head_ids is None else with_short_head(draft, head_ids)


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
    add_schedule(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    torch.manual_seed(args.seed)
    device = device_of(args.device)
    texts = [text for folder in args.texts for text in read_texts(folder) if text.response >= SHORTEST_RESPONSE]
    progress.say(f"{len(texts)} texts, {sum(text.response for text in texts):,} tokens by the target")
    draft = first_draft(args, texts).to(device)
    schedule = replace(
        schedule_of(args),
        quantisation=Quantisation(args.body_bits, args.embedding_bits, args.head_bits),
        quantise_from=args.quantise_from,
    )
    mix = Mix(args.forward_kl, args.reverse_kl, args.total_variation)
    train(draft, loss_of(draft, Batches(texts, args.tokens, args.seed), mix), schedule, args.out, progress)
    copy_tokenizer(args.target, args.out)
    write_model(draft, args.out, Vocabulary.read(args.target).stop_ids, torch.float32)
