"""Stage `evaluate`: acceptance of a draft per domain on held-out texts, with the weights of its image."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from trainer.acceptance import measure
from trainer.checkpoint import read_model
from trainer.device import add_device, device_of
from trainer.folders import write_text
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.texts import read_texts
from trainer.window import add_window

ACCEPTANCE_FILE = "acceptance.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draft", type=Path, required=True, help="folder of the draft")
    parser.add_argument("--held", type=Path, required=True, help="texts of stage `generate` for held-out prompts")
    parser.add_argument("--body-bits", type=int, default=8, help="4, 8, or 0 to evaluate unrounded weights")
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=8)
    add_window(parser)
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {ACCEPTANCE_FILE}")


def main(args: argparse.Namespace, progress: Progress) -> None:
    draft = read_model(args.draft).to(device_of(args.device))
    if args.body_bits:
        draft.round(Quantisation(args.body_bits, args.embedding_bits, args.head_bits))
    measured = measure(draft, read_texts(args.held), args.window)
    result = {domain: figures.rounded() for domain, figures in measured.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / ACCEPTANCE_FILE, json.dumps(result, indent=2) + "\n")
    for domain, figures in result.items():
        progress.say(f"{domain}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
