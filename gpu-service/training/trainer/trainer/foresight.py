"""`foresight`: how well a draft foresees given texts, position by position: what the edge's kernel is compared with.

In: JSON lines {"domain", "prompt": [ids], "ids": [ids]}, texts that a target wrote greedily. Out, per domain: the share
of ids that the draft would have said, and the ids accepted of 4 and of 8. Computed in float32, on the weights of a
release's image or on those of a draft's folder, rounded to `--bits`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.nn.functional as F

from trainer.acceptance import rounds
from trainer.checkpoint import read_model
from trainer.errors import TrainerError
from trainer.export import IMAGE_FILE
from trainer.folders import write_text
from trainer.image import read_image
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.quantise import Quantisation


@dataclass(frozen=True)
class Written:
    domain: str
    prompt: list[int]
    ids: list[int]


def read_written(path: Path) -> list[Written]:
    try:
        return [Written(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise TrainerError(f"{path} is no list of texts: {error}") from None


@torch.inference_mode()
def matches(draft: Llama, text: Written) -> list[bool]:
    """For each of the text's ids, whether it is the draft's likeliest after all that stands before it."""
    ids = [*text.prompt, *text.ids]
    if len(ids) > draft.c.context:
        raise TrainerError(f"a text of {len(ids)} ids is longer than the draft's context ({draft.c.context})")
    states = draft.hidden(torch.tensor([ids[:-1]]))[0, len(text.prompt) - 1 :]
    said = F.linear(states, draft.head).argmax(-1)
    said = said if draft.head_ids is None else draft.head_ids[said]
    return [mine == theirs for mine, theirs in zip(said.tolist(), text.ids, strict=True)]


def measure(draft: Llama, texts: list[Written]) -> dict[str, dict[str, float]]:
    found: dict[str, list[list[bool]]] = {}
    for text in texts:
        if text.prompt and text.ids:
            found.setdefault(text.domain, []).append(matches(draft, text))
    return {domain: figures(of_domain) for domain, of_domain in sorted(found.items())}


def figures(found: list[list[bool]]) -> dict[str, Any]:
    return {
        "ids": sum(map(len, found)),
        "greedy": mean(match for text in found for match in text),
        **{f"accepted_len_{k}": mean([n for text in found for n in rounds(text, k)] or [0]) for k in (4, 8)},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=Path, required=True, help="JSON lines")
    parser.add_argument("--release", type=Path, help="folder of stage `export`")
    parser.add_argument("--draft", type=Path, help="or: folder of stage `distil`")
    parser.add_argument(
        "--bits", type=int, default=0, choices=(0, 4, 8), help="with --draft: of all matrices; 0: float"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")


def main(args: argparse.Namespace, progress: Progress) -> None:
    if bool(args.release) == bool(args.draft):
        raise TrainerError("name a --release or a --draft")
    draft = read_image(args.release / IMAGE_FILE) if args.release else read_model(args.draft)
    if args.draft and args.bits:
        draft.pretend(Quantisation(args.bits, args.bits, args.bits))
    result = measure(draft, read_written(args.texts))
    write_text(args.out, json.dumps(result, indent=2) + "\n")
    for domain, found in result.items():
        progress.say(f"{domain}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
