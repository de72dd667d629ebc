"""Stage `compare`: how well a draft foresees held-out traffic, and how well its parent did; with the weights of images.

`greedy`: share of the positions of captured outputs whose likeliest id, by the draft, is the target's likeliest,
whatever the temperature of the request. It joins what stage `evaluate` found, so that a release tells both.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

from trainer.batches import pack
from trainer.checkpoint import read_model
from trainer.device import add_device, device_of, sent
from trainer.evaluate import ACCEPTANCE_FILE
from trainer.folders import write_text
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.short_head import head_rows
from trainer.texts import Text, read_texts
from trainer.traffic import DOMAIN
from trainer.vocabulary import read_json

ROWS = 16
"""Texts per forward pass."""


@torch.inference_mode()
def greedy_match(draft: Llama, texts: list[Text]) -> float:
    """Over the positions of all responses."""
    head = draft.head
    row_of = head_rows(draft).to(head.device)
    ordered = sorted(texts, key=lambda text: len(text.ids))
    same = positions = 0
    for start in range(0, len(ordered), ROWS):
        group = ordered[start : start + ROWS]
        ids, before = pack(group)
        hidden = draft.hidden(sent(ids, head.device))
        for text, states, chosen in zip(group, hidden, sent(before, head.device), strict=True):
            likeliest = row_of[sent(torch.from_numpy(text.top_ids[:, 0].astype("int64")), head.device)]
            same += int((F.linear(states[chosen], head).argmax(-1) == likeliest).sum())
            positions += text.response
    return same / positions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--before", type=Path, required=True, help="folder of the parent")
    parser.add_argument("--after", type=Path, required=True, help="folder of the draft")
    parser.add_argument("--held", type=Path, required=True, help="texts of stage `traffic` to judge by")
    parser.add_argument("--acceptance", type=Path, required=True, help="folder of stage `evaluate`")
    parser.add_argument("--body-bits", type=int, default=8)
    parser.add_argument("--embedding-bits", type=int, default=4)
    parser.add_argument("--head-bits", type=int, default=8)
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for the joined {ACCEPTANCE_FILE}")


def main(args: argparse.Namespace, progress: Progress) -> None:
    texts = read_texts(args.held)
    device = device_of(args.device)
    # The parent's weights are those of its image already; rounding them again changes nothing.
    bits = Quantisation(args.body_bits, args.embedding_bits, args.head_bits)
    before, after = (greedy_match(rounded(folder, bits).to(device), texts) for folder in (args.before, args.after))
    figures = {"greedy": round(after, 4), "greedy_before": round(before, 4), "texts": len(texts)}
    args.out.mkdir(parents=True, exist_ok=True)
    joined = {**read_json(args.acceptance / ACCEPTANCE_FILE), DOMAIN: figures}
    write_text(args.out / ACCEPTANCE_FILE, json.dumps(joined, indent=2) + "\n")
    progress.say(f"{DOMAIN}: greedy {before:.3f} before, {after:.3f} after, of {len(texts)} held-out requests")


def rounded(folder: Path, bits: Quantisation) -> Llama:
    draft = read_model(folder)
    draft.round(bits)
    return draft
