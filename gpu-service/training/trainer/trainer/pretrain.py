"""Stage `pretrain`: a Llama from fresh weights, by next-token prediction on the ids of stage `tokenize`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainer import training
from trainer.checkpoint import write_model
from trainer.gradients import loss_of_rows
from trainer.llama import Llama, LlamaConfig
from trainer.objective import NextToken
from trainer.parallel import Parallel
from trainer.progress import Progress
from trainer.rope import Rope
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
    parser.add_argument("--batch", type=int, default=16, help="sequences per step")
    parser.add_argument("--micro-batch", type=int, default=0, help="of them at a time (0: all)")
    parser.add_argument("--sequence", type=int, default=256, help="tokens per sequence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")
    training.add_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    torch.manual_seed(args.seed)
    vocabulary = Vocabulary.read(args.tokens)
    model = Llama(shape(args, args.vocab or vocabulary.size))
    model.initialise()
    windows = Windows(read_shards(args.tokens), args.sequence, args.seed)
    parallel = Parallel()

    def rows_at(step: int, rows: range) -> Tensor:
        return torch.from_numpy(np.stack([windows.at(step * args.batch + row) for row in rows]))

    loss_at = loss_of_rows(NextToken(model), rows_at, args.batch, args.micro_batch, parallel)
    training.train(model, loss_at, training.schedule_of(args), args.out, progress)
    copy_tokenizer(args.tokens, args.out)
    write_model(model, args.out, vocabulary.stop_ids)
