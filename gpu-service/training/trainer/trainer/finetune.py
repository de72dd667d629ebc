"""Stage `finetune`: a pretrained model on code, a share of it told as fill in the middle."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from trainer import training
from trainer.checkpoint import read_model, write_model
from trainer.corpus import read_documents
from trainer.errors import TrainerError
from trainer.fim import FIM_NAMES, fill_in_the_middle
from trainer.pretrain import next_token_loss
from trainer.progress import Progress
from trainer.tokenize import copy_tokenizer, end_id
from trainer.vocabulary import Vocabulary

IGNORED = -100
LONGEST_TOKEN_CHARACTERS = 4
"""Characters taken per token of room: more than a token holds on average, so that a window is filled."""


def pieces(
    documents: list[str], vocabulary: Vocabulary, batch: int, sequence: int, fim_share: float, seed: int
) -> Callable[[int], Tensor]:
    """Step to ids [batch, sequence + 1], padded with `IGNORED`: stretches of documents, ended where they end."""
    end = end_id(vocabulary)
    room = sequence * LONGEST_TOKEN_CHARACTERS

    def piece(r: random.Random) -> list[int]:
        document = r.choice(documents)
        if r.random() < fim_share:
            start = r.randrange(max(1, len(document) - room // 2))
            text = fill_in_the_middle(document[start : start + room // 2], r)
            return [*vocabulary.encode(text), end]
        start = r.randrange(max(1, len(document) - room))
        ids = vocabulary.encode(document[start : start + room])
        return [*ids, end] if start + room >= len(document) else ids

    def at(step: int) -> Tensor:
        r = random.Random(f"{seed} {step}")
        ids = torch.full((batch, sequence + 1), IGNORED)
        for row in range(batch):
            part = piece(r)[: sequence + 1]
            ids[row, : len(part)] = torch.tensor(part)
        return ids

    return at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder to begin with")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of stage `corpus`")
    parser.add_argument("--fim-share", type=float, default=0.5, help="share of pieces told as fill in the middle")
    parser.add_argument("--batch", type=int, default=16, help="sequences per step")
    parser.add_argument("--sequence", type=int, default=256, help="tokens per sequence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")
    training.add_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.model)
    missing = [name for name in FIM_NAMES if vocabulary.tokenizer.token_to_id(name) is None]
    if missing and args.fim_share:
        raise TrainerError(f"{args.model}: the tokenizer has no {', '.join(missing)}; set --fim-share 0")
    model = read_model(args.model)
    batch_at = pieces(read_documents(args.corpus), vocabulary, args.batch, args.sequence, args.fim_share, args.seed)

    def loss_at(step: int) -> tuple[Tensor, int]:
        return next_token_loss(model, batch_at(step), IGNORED), args.batch * args.sequence

    training.train(model, loss_at, training.schedule_of(args), args.out, progress)
    copy_tokenizer(args.model, args.out)
    write_model(model, args.out, vocabulary.stop_ids)
