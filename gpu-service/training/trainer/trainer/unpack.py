"""Stage `unpack`: a release's image back into a draft's folder, to go on training from."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from trainer.checkpoint import read_config, write_model
from trainer.errors import TrainerError
from trainer.export import IMAGE_FILE
from trainer.image import read_image
from trainer.progress import Progress
from trainer.tokenize import copy_tokenizer
from trainer.vocabulary import Vocabulary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--release", type=Path, required=True, help=f"release folder with {IMAGE_FILE}")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--out", type=Path, required=True, help="folder for the draft")


def main(args: argparse.Namespace, progress: Progress) -> None:
    image = args.release / IMAGE_FILE
    if not image.exists():
        raise TrainerError(f"{image} is missing: the job names no parent, or its release could not be had")
    draft = read_image(image)
    if draft.c.vocab != read_config(args.target).vocab:
        raise TrainerError(f"{image} knows {draft.c.vocab:,} ids, not the target's {read_config(args.target).vocab:,}")
    copy_tokenizer(args.target, args.out)
    write_model(draft, args.out, Vocabulary.read(args.target).stop_ids, torch.float32)
    progress.say(f"{draft.c.layers} x {draft.c.hidden}, as the edge computes with it")
