"""`perplexity`: exp of the mean loss that a model has on ids of stage `tokenize`, over windows spread through them."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch

from trainer.checkpoint import read_model
from trainer.device import add_device, device_of
from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.llama import Llama
from trainer.objective import NextToken
from trainer.progress import Progress
from trainer.token_shards import Windows, read_shards

RESULT_FILE = "perplexity.json"


@torch.inference_mode()
def mean_loss(model: Llama, windows: Windows, count: int, batch: int, progress: Progress) -> float:
    """Nats per id. At most one epoch is read: no window twice."""
    count = min(count, windows.per_epoch)
    objective, total = NextToken(model), 0.0
    for at in range(0, count, batch):
        rows = [windows.at(number) for number in range(at, min(count, at + batch))]
        ids = torch.from_numpy(np.stack(rows)).to(model.head.device)
        total += objective(ids).item() * len(rows)
        progress.step(at + len(rows), count)
    return total / count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument(
        "--tokens", type=Path, required=True, help="folder of stage `tokenize`, of the model's tokenizer"
    )
    parser.add_argument("--windows", type=int, default=256, help="windows that are read")
    parser.add_argument("--sequence", type=int, default=512, help="ids per window")
    parser.add_argument("--batch", type=int, default=8, help="windows at a time")
    parser.add_argument("--seed", type=int, default=0, help="which windows")
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {RESULT_FILE}")


def main(args: argparse.Namespace, progress: Progress) -> None:
    model = read_model(args.model).to(device_of(args.device))
    if args.sequence > model.c.context:
        raise TrainerError(f"windows of {args.sequence} ids are longer than the model's context ({model.c.context})")
    windows = Windows(read_shards(args.tokens), args.sequence, args.seed)
    loss = mean_loss(model, windows, args.windows, args.batch, progress)
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"perplexity": math.exp(loss), "nats_per_id": loss, "windows": min(args.windows, windows.per_epoch)}
    write_text(args.out / RESULT_FILE, json.dumps(result, indent=2) + "\n")
    progress.say(f"perplexity {result['perplexity']:.3f}")
