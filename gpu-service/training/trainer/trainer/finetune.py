"""Stage `finetune`: a pretrained model on code, a share of it told as fill in the middle."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer.checkpoint import read_model, write_model
from trainer.documents import Documents
from trainer.errors import TrainerError
from trainer.fim import FIM_NAMES, fill_in_the_middle
from trainer.objective import IGNORED
from trainer.parallel import processes
from trainer.progress import Progress
from trainer.rows import add_arguments as add_rows_arguments
from trainer.rows import train_rows
from trainer.tokenize import copy_tokenizer, end_id
from trainer.vocabulary import Vocabulary

LONGEST_TOKEN_CHARACTERS = 4
"""Characters taken per token of room: more than a token holds on average, so that a window is filled."""


def pieces(
    documents: Sequence[str], vocabulary: Vocabulary, sequence: int, fim_share: float, seed: int
) -> Callable[[int, range], Tensor]:
    """Step and rows to ids [rows, sequence + 1], padded with `IGNORED`: stretches of documents, ended where they end.

    Each row has a seed of its own, so that it is the same whoever draws it.
    """
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

    def at(step: int, rows: range) -> Tensor:
        ids = torch.full((len(rows), sequence + 1), IGNORED)
        for place, row in enumerate(rows):
            part = piece(random.Random(f"{seed} {step} {row}"))[: sequence + 1]
            ids[place, : len(part)] = torch.tensor(part)
        return ids

    return at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder to begin with")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of stage `corpus`")
    parser.add_argument("--fim-share", type=float, default=0.5, help="share of pieces told as fill in the middle")
    parser.add_argument(
        "--fim-markers",
        choices=("ids", "text"),
        default="ids",
        help="ids: single ids of the tokenizer; text: spelt out, for a tokenizer that has none",
    )
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")
    add_rows_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.model)
    missing = [name for name in FIM_NAMES if vocabulary.tokenizer.token_to_id(name) is None]
    if missing and args.fim_share and args.fim_markers == "ids":
        raise TrainerError(
            f"{args.model}: the tokenizer has no {', '.join(missing)}; set --fim-markers text, or --fim-share 0"
        )
    rows_at = pieces(Documents(args.corpus), vocabulary, args.sequence, args.fim_share, args.seed)
    with processes(args) as parallel:
        trained = train_rows(read_model(args.model), rows_at, args, progress, parallel)
        if trained:
            copy_tokenizer(args.model, args.out)
            write_model(trained, args.out, vocabulary.stop_ids)
