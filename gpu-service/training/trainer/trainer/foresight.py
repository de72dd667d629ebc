"""`foresight`: how well a draft foresees given texts, position by position: what the edge's kernel is compared with.

In: JSON lines {"domain", "prompt": [ids], "ids": [ids]}, texts that a target wrote greedily; of one that was drawn at
temperature 1 also "seed" (a string) and, for each of its ids, "top": [[id, log probability], ...], the target's
likeliest. Out, per domain and temperature: `matches`, the share of ids that the draft would have said, drawn with the
same noise at temperature 1; the ids accepted of 4 and of 8; at temperature 1 also 1 - TV over the listed ids. Computed
in float32, on the weights of a release's image or on those of a draft's folder, rounded to `--bits`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.acceptance import rounds
from trainer.checkpoint import read_model
from trainer.errors import TrainerError
from trainer.export import IMAGE_FILE
from trainer.folders import write_text
from trainer.image import read_image
from trainer.llama import Llama
from trainer.noise import gumbel
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.window import add_window, unread

Top = list[tuple[int, float]]


@dataclass(frozen=True)
class Written:
    domain: str
    prompt: list[int]
    ids: list[int]
    seed: str | None = None
    """None: written greedily."""
    top: list[Top] | None = None


@dataclass(frozen=True)
class Foreseen:
    """Of one text: per id, whether the draft said it, and at temperature 1 the probability in common."""

    matches: list[bool]
    shared: list[float]


def read_written(path: Path) -> list[Written]:
    try:
        texts = [Written(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise TrainerError(f"{path} is no list of texts: {error}") from None
    for number, text in enumerate(texts, 1):
        if text.seed is not None and (text.top is None or len(text.top) != len(text.ids)):
            raise TrainerError(f"{path}: text {number} has a seed, but no 'top' for each of its ids")
    return texts


@torch.inference_mode()
def foresee(draft: Llama, text: Written, window: int) -> Foreseen:
    prompt = text.prompt[unread(len(text.prompt), window) :]
    ids = [*prompt, *text.ids]
    if len(ids) > draft.c.context:
        raise TrainerError(f"a text of {len(ids)} ids is longer than the draft's context ({draft.c.context})")
    states = draft.hidden(torch.tensor([ids[:-1]]))[0, len(prompt) - 1 :]
    logits = F.linear(states, draft.head)
    sayable = torch.arange(draft.c.vocab) if draft.head_ids is None else draft.head_ids
    if text.seed is None:
        said, shared = logits.argmax(-1), []
    else:
        positions = np.arange(len(text.prompt), len(text.prompt) + len(text.ids))
        said = (logits + torch.from_numpy(gumbel(int(text.seed), positions, sayable.numpy()))).argmax(-1)
        shared = in_common(logits.softmax(-1), text.top or [], {int(id): row for row, id in enumerate(sayable)})
    return Foreseen([mine == theirs for mine, theirs in zip(sayable[said].tolist(), text.ids, strict=True)], shared)


def in_common(q: Tensor, top: list[Top], row_of: dict[int, int]) -> list[float]:
    """Per position, the sum of min(p, q) over the target's listed ids."""
    return [
        sum(min(float(np.exp(logprob)), float(shares[row_of[id]])) for id, logprob in listed if id in row_of)
        for shares, listed in zip(q, top, strict=True)
    ]


def measure(draft: Llama, texts: list[Written], window: int) -> list[dict[str, Any]]:
    found: dict[tuple[str, int], list[Foreseen]] = {}
    for text in texts:
        if text.prompt and text.ids:
            found.setdefault((text.domain, int(text.seed is not None)), []).append(foresee(draft, text, window))
    return [
        {"domain": domain, "temperature": temperature, **figures(of_kind)}
        for (domain, temperature), of_kind in sorted(found.items())
    ]


def figures(found: list[Foreseen]) -> dict[str, Any]:
    shared = [share for text in found for share in text.shared]
    return {
        "ids": sum(len(text.matches) for text in found),
        "matches": mean(match for text in found for match in text.matches),
        "one_minus_tv": mean(shared) if shared else None,
        **{f"accepted_len_{k}": mean([n for text in found for n in rounds(text.matches, k)] or [0]) for k in (4, 8)},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--texts", type=Path, required=True, help="JSON lines")
    parser.add_argument("--release", type=Path, help="folder of stage `export`")
    parser.add_argument("--draft", type=Path, help="or: folder of stage `distil`")
    parser.add_argument(
        "--bits", type=int, default=0, choices=(0, 4, 8), help="with --draft: of all matrices; 0: float"
    )
    add_window(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")


def main(args: argparse.Namespace, progress: Progress) -> None:
    if bool(args.release) == bool(args.draft):
        raise TrainerError("name a --release or a --draft")
    draft = read_image(args.release / IMAGE_FILE) if args.release else read_model(args.draft)
    if args.draft and args.bits:
        draft.round(Quantisation(args.bits, args.bits, args.bits))
    result = measure(draft, read_written(args.texts), args.window)
    write_text(args.out, json.dumps(result, indent=2) + "\n")
    for row in result:
        progress.say(json.dumps(row))
