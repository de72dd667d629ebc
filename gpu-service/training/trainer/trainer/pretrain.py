"""Stage `pretrain`: a Llama from fresh weights, by next-token prediction on the ids of stage `tokenize`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer.checkpoint import write_model
from trainer.llama import Llama, LlamaConfig
from trainer.parallel import processes
from trainer.progress import Progress
from trainer.rope import Rope
from trainer.rows import add_arguments as add_rows_arguments
from trainer.rows import train_rows
from trainer.token_shards import Windows, read_shards
from trainer.tokenize import copy_tokenizer
from trainer.vocabulary import Vocabulary


def shape(args: argparse.Namespace, vocab: int) -> LlamaConfig:
    return LlamaConfig(
        layers=args.layers,
        hidden=args.hidden,
        heads=args.heads,
        kv_heads=args.kv_heads,
        head_dim=args.head_dim,
        ffn=args.ffn,
        vocab=vocab,
        context=args.context,
        rope=Rope(args.theta),
        tied=args.head == "tied",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", type=Path, required=True, help="folder of stage `tokenize`")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--heads", type=int, required=True)
    parser.add_argument("--kv-heads", type=int, required=True)
    parser.add_argument("--head-dim", type=int, required=True)
    parser.add_argument("--ffn", type=int, required=True)
    parser.add_argument("--vocab", type=int, default=0, help="rows of the embedding (default: the tokenizer's ids)")
    parser.add_argument("--head", choices=("tied", "untied"), default="tied", help="is the head the embedding?")
    parser.add_argument("--context", type=int, default=512, help="longest text")
    parser.add_argument("--theta", type=float, default=10_000.0, help="base of the rotary positions")
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")
    add_rows_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.tokens)
    windows = Windows(read_shards(args.tokens), args.sequence, args.seed)

    def rows_at(step: int, rows: range) -> Tensor:
        return torch.from_numpy(np.stack([windows.at(step * args.batch + row) for row in rows]))

    with processes(args) as parallel:
        torch.manual_seed(args.seed)
        model = Llama(shape(args, args.vocab or vocabulary.size))
        model.initialise()
        trained = train_rows(model, rows_at, args, progress, parallel)
        if trained:
            copy_tokenizer(args.tokens, args.out)
            write_model(trained, args.out, vocabulary.stop_ids)
