"""Stage `grow`: a draft's vocabulary grown to its target's, of which it must be a beginning (32,000 ids of 32,016).

The rows of new ids are the mean of the others: distilling makes of them what the target does with those ids.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from trainer.checkpoint import read_config, read_model, write_model
from trainer.errors import TrainerError
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.tokenize import copy_tokenizer
from trainer.vocabulary import Vocabulary


def grown(draft: Llama, vocab: int) -> Llama:
    """The same draft with `vocab` rows in its embedding and in its head. TrainerError where it has more already."""
    if vocab < draft.c.vocab:
        raise TrainerError(f"the draft knows {draft.c.vocab:,} ids, its target only {vocab:,}")
    larger = Llama(replace(draft.c, vocab=vocab))
    rows = ("embed_tokens.weight", "lm_head.weight") if draft.c.head_rows is None else ("embed_tokens.weight",)
    weights = {name: more_rows(w, vocab) if name in rows else w for name, w in draft.state_dict().items()}
    larger.load_state_dict(weights)
    return larger


def more_rows(matrix: Tensor, rows: int) -> Tensor:
    return torch.cat((matrix, matrix.mean(0, keepdim=True).expand(rows - len(matrix), -1)))


def require_beginning(draft: Vocabulary, target: Vocabulary) -> None:
    """TrainerError that names the first id for which the two tokenizers stand for different texts."""
    theirs = {id_: token for token, id_ in target.tokenizer.get_vocab().items()}
    for token, id_ in sorted(draft.tokenizer.get_vocab().items(), key=lambda item: item[1]):
        if theirs.get(id_) != token:
            raise TrainerError(f"id {id_} is {token!r} to the draft and {theirs.get(id_)!r} to the target")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="folder of the draft, with its tokenizer")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--out", type=Path, required=True, help="folder for the grown draft")


def main(args: argparse.Namespace, progress: Progress) -> None:
    target = Vocabulary.read(args.target)
    require_beginning(Vocabulary.read(args.model), target)
    draft, vocab = read_model(args.model), read_config(args.target).vocab
    copy_tokenizer(args.target, args.out)
    write_model(grown(draft, vocab), args.out, target.stop_ids, torch.float32)
    progress.say(f"{draft.c.vocab:,} ids grown to {vocab:,}")
