"""Command `convert`: a GGUF file, or a folder as on the hub, into a Hugging Face folder that training stages read.

It reads with the `checkpoints` package, as the verifier's converter does, so weights and tokenizer.json are the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainer.checkpoint import write_model
from trainer.config_json import config_of
from trainer.errors import TrainerError
from trainer.folders import write_bytes
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.vocabulary import CHAT_TEMPLATE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE

if TYPE_CHECKING:
    from checkpoints.checkpoint import LlamaCheckpoint


def read_source(source: Path, tokenizer: Path | None = None) -> LlamaCheckpoint:
    """A GGUF file or a folder; `tokenizer` is a folder whose tokenizer files replace its own. Errors: TrainerError."""
    try:
        from checkpoints.errors import CheckpointError
        from checkpoints.gguf_file import read_gguf
        from checkpoints.hugging_face import read_folder, read_tokenizer
    except ModuleNotFoundError as error:
        raise TrainerError(f"{error.name} is missing: pip install -r requirements-train.txt") from None
    try:
        files = None if tokenizer is None else read_tokenizer(tokenizer)
        return read_folder(source, files) if source.is_dir() else read_gguf(source, files)
    except CheckpointError as error:
        raise TrainerError(str(error)) from None


def write_folder(checkpoint: LlamaCheckpoint, folder: Path, progress: Progress) -> None:
    """Tokenizer files, then weights in float32, config.json last."""
    model = model_of(checkpoint, progress)
    folder.mkdir(parents=True, exist_ok=True)
    files = checkpoint.tokenizer
    write_bytes(folder / TOKENIZER_FILE, files.tokenizer_json)
    write_bytes(folder / TOKENIZER_CONFIG_FILE, files.tokenizer_config_json)
    if files.chat_template is not None:
        write_bytes(folder / CHAT_TEMPLATE_FILE, files.chat_template.encode())
    write_model(model, folder, list(checkpoint.config.eos_ids), torch.float32)


def model_of(checkpoint: LlamaCheckpoint, progress: Progress | None = None) -> Llama:
    """The same weights, in float32."""
    model = Llama(config_of(checkpoint.config))
    weights = model.state_dict()
    for index, name in enumerate(weights):
        theirs = name if name.startswith("lm_head") else f"model.{name}"
        weights[name].copy_(torch.from_numpy(checkpoint.read(theirs).copy()))
        if progress:
            progress.step(index + 1, len(weights))
    return model.eval()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, required=True, help="GGUF file, or a folder as on the hub")
    parser.add_argument("--out", type=Path, required=True, help="Hugging Face folder to write")


def main(args: argparse.Namespace, progress: Progress) -> None:
    write_folder(read_source(args.source), args.out, progress)
    progress.say(f"wrote {args.out}")
