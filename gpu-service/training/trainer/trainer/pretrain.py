"""Stage `pretrain`: a Llama from fresh weights, by next-token prediction on the ids of stage `tokenize`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import training
from trainer.checkpoint import write_model
from trainer.llama import Llama, LlamaConfig
from trainer.progress import Progress
from trainer.rope import Rope
from trainer.tokenize import copy_tokenizer, read_tokens
from trainer.vocabulary import Vocabulary


def next_token_loss(model: Llama, ids: Tensor, ignored: int = -100) -> Tensor:
    """Mean cross entropy of ids[:, 1:] given what stands before; targets equal to `ignored` do not count."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.hidden(ids[:, :-1].clamp(min=0))
        logits = F.linear(hidden, model.head)
    return F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignored)


def windows(
    tokens: np.ndarray[tuple[int], np.dtype[np.int32]], batch: int, sequence: int, seed: int
) -> Callable[[int], Tensor]:
    """Step to ids [batch, sequence + 1]: windows from random places of the corpus."""

    def at(step: int) -> Tensor:
        starts = np.random.default_rng((seed, step)).integers(0, len(tokens) - sequence - 1, batch)
        return torch.from_numpy(np.stack([tokens[s : s + sequence + 1] for s in starts]).astype(np.int64))

    return at


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", type=Path, required=True, help="folder of stage `tokenize`")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--heads", type=int, required=True)
    parser.add_argument("--kv-heads", type=int, required=True)
    parser.add_argument("--head-dim", type=int, required=True)
    parser.add_argument("--ffn", type=int, required=True)
    parser.add_argument("--context", type=int, default=512, help="longest text")
    parser.add_argument("--theta", type=float, default=10_000.0, help="base of the rotary positions")
    parser.add_argument("--batch", type=int, default=16, help="sequences per step")
    parser.add_argument("--sequence", type=int, default=256, help="tokens per sequence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")
    training.add_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    torch.manual_seed(args.seed)
    vocabulary = Vocabulary.read(args.tokens)
    model = Llama(
        LlamaConfig(
            layers=args.layers,
            hidden=args.hidden,
            heads=args.heads,
            kv_heads=args.kv_heads,
            head_dim=args.head_dim,
            ffn=args.ffn,
            vocab=vocabulary.size,
            context=args.context,
            rope=Rope(args.theta),
        )
    )
    model.initialise()
    batch_at = windows(read_tokens(args.tokens), args.batch, args.sequence, args.seed)

    def loss_at(step: int) -> tuple[Tensor, int]:
        return next_token_loss(model, batch_at(step)), args.batch * args.sequence

    training.train(model, loss_at, training.schedule_of(args), args.out, progress)
    copy_tokenizer(args.tokens, args.out)
    write_model(model, args.out, vocabulary.stop_ids)
