"""Stage `round`: round a draft's int4 matrices on texts of its target, each so that what it gives there changes least.

For a draft that was not trained with int4 weights, or not for long: minutes instead of a training. A layer is rounded
with the inputs that the rounded layers before it give. What is written lies on the image's grid: with the same bits,
`evaluate` and `export` leave it as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.batches import pack
from trainer.checkpoint import read_model, write_model
from trainer.compensated import rounded_int4
from trainer.layers import Linear
from trainer.llama import Llama
from trainer.llama_layers import Layer
from trainer.progress import Progress
from trainer.quantise import Quantisation, dequantise, quantise
from trainer.texts import Text, read_texts
from trainer.tokenize import copy_tokenizer
from trainer.vocabulary import Vocabulary

ROWS = 16
"""Texts per forward pass."""


@torch.inference_mode()
def round_draft(draft: Llama, texts: list[Text], bits: Quantisation, progress: Progress) -> None:
    """In place. Matrices of 8 bits, and an embedding (a tied head with it), are rounded each weight by itself."""
    ordered = sorted(texts, key=lambda text: len(text.ids))
    packed = [pack(ordered[at : at + ROWS]) for at in range(0, len(ordered), ROWS)]
    seen = [upto_last(before) for _, before in packed]
    settle(draft.embed_tokens.weight, bits.embedding)
    states = [draft.embed_tokens(ids) for ids, _ in packed]
    for index, layer in enumerate(draft.layers):
        assert isinstance(layer, Layer)
        for matrix, sums in moments(draft, layer, states, seen).items():
            settle(matrix.weight, bits.body, sums)
        states = [through(draft, layer, x) for x in states]
        progress.step(index + 1, len(draft.layers) + 1)
    if not draft.c.tied:
        answers = torch.cat([draft.norm(x)[before] for x, (_, before) in zip(states, packed, strict=True)])
        settle(draft.lm_head.weight, bits.head, answers.T @ answers)
    progress.step(len(draft.layers) + 1, len(draft.layers) + 1)


def settle(weight: Tensor, bits: int, sums: Tensor | None = None) -> None:
    """Puts the rounded weight in the place of the weight; `sums`: the moments of what it is multiplied with."""
    if bits == 4 and sums is not None:
        weight.copy_(rounded_int4(weight, sums))
    else:
        weight.copy_(dequantise(*quantise(weight, bits)))


class Inputs:
    """Hook of matrices: for each, the summed outer products of what it is multiplied with at `places` [B,S]."""

    def __init__(self, matrices: list[Linear]) -> None:
        self.sums = {matrix: torch.zeros(matrix.in_features, matrix.in_features) for matrix in matrices}
        self.places = torch.empty(0)

    def __call__(self, matrix: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(matrix, Linear)
        inputs = given[0][self.places]
        self.sums[matrix] += inputs.T @ inputs


def moments(draft: Llama, layer: Layer, states: list[Tensor], seen: list[Tensor]) -> dict[Linear, Tensor]:
    """For each of the layer's matrices, the summed outer products of its inputs where ids stand, not padding."""
    inputs = Inputs([module for module in layer.modules() if isinstance(module, Linear)])
    hooks = [matrix.register_forward_pre_hook(inputs) for matrix in inputs.sums]
    for x, inputs.places in zip(states, seen, strict=True):
        through(draft, layer, x)
    for hook in hooks:
        hook.remove()
    return inputs.sums


def through(draft: Llama, layer: Layer, x: Tensor) -> Tensor:
    out: Tensor = layer(x, draft.cos[: x.shape[1]], draft.sin[: x.shape[1]])
    return out


def upto_last(before: Tensor) -> Tensor:
    """[B,S]: the places of a right-padded text, given those that stand before a token of the answer."""
    return before.flip(1).cumsum(1).flip(1) > 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draft", type=Path, required=True, help="folder of the draft")
    parser.add_argument("--texts", type=Path, required=True, help="folder of stage `generate`")
    parser.add_argument("--limit", type=int, default=256, help="texts used (0: all)")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--body-bits", type=int, default=4)
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True, help="folder for the draft")


def main(args: argparse.Namespace, progress: Progress) -> None:
    draft = read_model(args.draft)
    texts = [text for text in read_texts(args.texts) if text.response][: args.limit or None]
    round_draft(draft, texts, Quantisation(args.body_bits, args.embedding_bits, args.head_bits), progress)
    copy_tokenizer(args.target, args.out)
    write_model(draft, args.out, Vocabulary.read(args.target).stop_ids, torch.float32)
