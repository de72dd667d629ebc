"""Stage `traffic`: captured requests as texts of the target with its logits, to distil from (`--out`) and, the newest,
to judge by (`--held-out`).

The target does not write anew: it reads what it wrote, in one pass. Texts that hold something of the evaluation are
left out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.batches import pack
from trainer.captured import Request, read_requests, split
from trainer.checkpoint import read_model
from trainer.decontaminate import against_evaluation
from trainer.device import add_device, device_of, writing_type
from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.texts import Text, shard_path, write_shard
from trainer.vocabulary import Vocabulary

DOMAIN = "traffic"
MANIFEST_FILE = "manifest.json"
ROWS = 512
"""Positions whose logits are held at a time."""


def bare(request: Request) -> Text:
    """The text without logits."""
    return Text(
        domain=DOMAIN,
        temperature=request.temperature,
        prompt=len(request.prompt),
        ids=np.array(request.ids, np.int32),
        top_ids=np.zeros((0, 0), np.int32),
        top_logits=np.zeros((0, 0), np.float16),
        logsumexp=np.zeros(0, np.float32),
    )


@torch.inference_mode()
def read_again(model: Llama, texts: list[Text], top: int) -> list[Text]:
    """The texts with the target's `top` likeliest ids at every position of their responses."""
    device = model.head.device
    ids, before = pack(texts)
    states = model.hidden(ids.to(device))
    read = []
    for text, of_text, chosen in zip(texts, states, before.to(device), strict=True):
        parts = [listed(rows, model.head, top) for rows in of_text[chosen].split(ROWS)]
        top_ids, top_logits, logsumexp = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
        read.append(Text(text.domain, text.temperature, text.prompt, text.ids, top_ids, top_logits, logsumexp))
    return read


def listed(states: Tensor, head: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    logits = F.linear(states, head).float()
    best = logits.topk(min(top, logits.shape[-1]), -1)
    return best.indices.int(), best.values.half(), logits.logsumexp(-1)


def batches(texts: list[Text], tokens: int) -> Iterator[list[Text]]:
    """Texts of like length together, at most `tokens` ids a batch, padding counted; one text may be more."""
    batch: list[Text] = []
    for text in sorted(texts, key=lambda text: len(text.ids)):
        if batch and (len(batch) + 1) * len(text.ids) > tokens:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--captured", type=Path, required=True, help="folder of captured requests")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--target-id", required=True, help="the id that the target is served under")
    parser.add_argument("--out", type=Path, required=True, help="folder for the texts to learn from")
    parser.add_argument("--held-out", type=Path, required=True, help="folder for the texts to judge by")
    parser.add_argument("--held-share", type=float, default=0.2, help="share of the requests to judge by, the newest")
    parser.add_argument("--limit", type=int, default=0, help="requests used, the newest (0: all)")
    parser.add_argument("--tokens", type=int, default=8192, help="tokens per pass of the target, padding counted")
    parser.add_argument("--top", type=int, default=64, help="logits kept per token")
    add_device(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.target)
    device = device_of(args.device)
    model = read_model(args.target, writing_type(device)).to(device)
    found = read_requests(args.captured, args.target_id, model.c.vocab)
    short = [request for request in found if len(request.ids) <= model.c.context]
    clean = against_evaluation()
    kept = [r for r in short if clean(vocabulary.tokenizer.decode(list(r.ids), skip_special_tokens=False))]
    requests = kept[-args.limit :]
    if len(requests) < 2:
        raise TrainerError(f"{args.captured} holds {len(requests)} requests to learn from, of {len(found)} captured")
    learn, held = split(requests, args.held_share)
    progress.say(
        f"{len(learn)} requests to learn from, {len(held)} to judge by (from {held[0].time} on); "
        f"{len(found) - len(kept)} left out"
    )
    total = sum(len(request.output) for request in requests)
    began, tokens = time.monotonic(), 0
    for folder, part in ((args.held_out, held), (args.out, learn)):
        folder.mkdir(parents=True, exist_ok=True)
        for index, batch in enumerate(batches([bare(request) for request in part], args.tokens)):
            write_shard(shard_path(folder, index), read_again(model, batch, args.top))
            tokens += sum(text.response for text in batch)
            progress.step(tokens, total, tokens=tokens, tok_s=tokens / (time.monotonic() - began))
        write_text(folder / MANIFEST_FILE, json.dumps(manifest(part), indent=2) + "\n")


def manifest(requests: list[Request]) -> dict[str, object]:
    """For a draft's lineage: how much and of when, never what."""
    return {
        "texts": len(requests),
        "tokens": {DOMAIN: sum(len(request.output) for request in requests)},
        "from": requests[0].time,
        "to": requests[-1].time,
    }
