"""Command `golden`: what a draft image computes, for the tests of every kernel that reads it.

Writes the largest logits at each position of a few texts, in float32, with the image's own (dequantised) weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from checkpoints.digest import sha256_of
from trainer.export import IMAGE_FILE
from trainer.folders import write_text
from trainer.image import read_image
from trainer.progress import Progress
from trainer.vocabulary import Vocabulary

TOP = 8
TEXTS = (
    'def add(a, b):\n    """Return the sum of a and b."""\n    return a + b\n',
    "import os\n\n\nclass Reader:\n    def __init__(self, path):\n        self.path = path\n",
    "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
)


@torch.inference_mode()
def golden(release: Path) -> dict[str, object]:
    draft = read_image(release / IMAGE_FILE)
    vocabulary = Vocabulary.read(release)
    cases = []
    for text in TEXTS:
        ids = vocabulary.encode(text)
        top = draft(torch.tensor([ids]))[0].topk(TOP, -1)
        rows = top.indices if draft.head_ids is None else draft.head_ids[top.indices]
        logits = [[round(value, 5) for value in row] for row in top.values.tolist()]
        cases.append({"ids": ids, "top_ids": rows.tolist(), "top_logits": logits})
    return {"image_sha256": sha256_of(release / IMAGE_FILE), "cases": cases}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--release", type=Path, required=True, help="folder of stage `export`")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")


def main(args: argparse.Namespace, progress: Progress) -> None:
    write_text(args.out, json.dumps(golden(args.release)) + "\n")
    progress.say(f"wrote {args.out}")
