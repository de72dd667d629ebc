"""Command `convert`: a GGUF file into the Hugging Face folder that the training stages read.

It reads with the `checkpoints` package, as the verifier's converter does, so weights and tokenizer.json are the same.
Needs the packages of requirements-convert.txt besides the trainer's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainer.checkpoint import write_model
from trainer.errors import TrainerError
from trainer.folders import write_bytes
from trainer.llama import Llama, LlamaConfig
from trainer.progress import Progress
from trainer.rope import Rope, RopeScaling
from trainer.vocabulary import CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE

if TYPE_CHECKING:
    from checkpoints.llama import LlamaCheckpoint


def model_of(checkpoint: LlamaCheckpoint) -> Llama:
    """The same weights, in float32."""
    model = Llama(config_of(checkpoint))
    names = {name: name if name.startswith("lm_head") else f"model.{name}" for name in model.state_dict()}
    model.load_state_dict({name: torch.tensor(checkpoint.read(theirs)) for name, theirs in names.items()})
    return model.eval()


def config_of(checkpoint: LlamaCheckpoint) -> LlamaConfig:
    c = checkpoint.config
    scaling = None
    if c.rope.scaling is not None:
        if not hasattr(c.rope.scaling, "factor"):
            raise TrainerError("rotary factors that are listed one by one cannot be trained from; take the original")
        scaling = RopeScaling(**vars(c.rope.scaling))
    return LlamaConfig(
        layers=c.layers,
        hidden=c.hidden,
        heads=c.heads,
        kv_heads=c.kv_heads,
        head_dim=c.head_dim,
        ffn=c.ffn,
        vocab=c.vocab_size,
        context=c.context,
        rope=Rope(c.rope.theta, scaling),
        norm_eps=c.norm_eps,
        tied=c.tied,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, required=True, help="GGUF file")
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")


def main(args: argparse.Namespace, progress: Progress) -> None:
    try:
        from checkpoints.errors import CheckpointError
        from checkpoints.gguf_file import read_gguf
    except ModuleNotFoundError as error:
        raise TrainerError(f"{error.name} is missing: pip install -r requirements-convert.txt") from None
    try:
        checkpoint = read_gguf(args.source)
        model = model_of(checkpoint)
    except CheckpointError as error:
        raise TrainerError(str(error)) from None
    args.out.mkdir(parents=True, exist_ok=True)
    files = checkpoint.tokenizer
    write_bytes(args.out / TOKENIZER_FILE, files.tokenizer_json)
    write_bytes(args.out / TOKENIZER_CONFIG_FILE, files.tokenizer_config_json)
    if files.chat_template is not None:
        write_bytes(args.out / CHAT_TEMPLATE_FILE, files.chat_template.encode())
    write_model(model, args.out, list(checkpoint.config.eos_ids), torch.float32)
    progress.say(f"wrote {args.out}: {sum(weight.numel() for weight in model.parameters()):,} weights")
