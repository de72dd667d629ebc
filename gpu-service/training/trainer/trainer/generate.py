"""Stage `generate`: let the target write, and keep what distilling needs of its mind.

In: prompts.jsonl (stage `prompts`) and the target's folder. Out: one shard of texts per batch (`texts.py`).
A shard that exists is not written again, and each has a seed of its own: killed anywhere, a rerun goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.checkpoint import read_model
from trainer.corpus import MANIFEST_FILE
from trainer.folders import sha256, write_text
from trainer.llama import Cache, Llama
from trainer.progress import Progress
from trainer.prompts import Prompt, read_prompts
from trainer.texts import Text, read_shard, shard_path, write_shard
from trainer.vocabulary import Vocabulary

PREFILL_ROWS = 16
"""Sequences prefilled at a time: bounds the memory of their attention."""

COMPACT_BELOW = 0.85
"""Finished sequences are moved out of the batch once fewer than this share still runs."""


@dataclass(frozen=True)
class Job:
    """One text to write: prompt ids and the temperature of its draws (0: greedy)."""

    prompt: list[int]
    temperature: float
    domain: str


def encode(prompt: Prompt, vocabulary: Vocabulary) -> Job:
    return Job(vocabulary.encode(prompt.text), prompt.temperature, prompt.domain)


def plan(jobs: list[Job], batch: int) -> list[list[Job]]:
    """Batches of similar prompt length, cut from stretches of eight batches: every part of the list stays mixed."""
    groups = []
    for start in range(0, len(jobs), 8 * batch):
        stretch = sorted(jobs[start : start + 8 * batch], key=lambda job: len(job.prompt))
        groups += [stretch[i : i + batch] for i in range(0, len(stretch), batch)]
    return groups


@torch.inference_mode()
def write(
    model: Llama, jobs: list[Job], new: int, top: int, stop_ids: list[int], random: torch.Generator
) -> list[Text]:
    """Up to `new` tokens for each job, with the `top` largest logits and the logsumexp at every one."""
    longest = max(len(job.prompt) for job in jobs)
    pad = torch.tensor([longest - len(job.prompt) for job in jobs])
    ids = torch.tensor([[0] * (longest - len(job.prompt)) + job.prompt for job in jobs])
    temperature = torch.tensor([job.temperature for job in jobs])
    stops = torch.tensor(stop_ids)
    cache = Cache(model.c, pad, longest + new, model.head.dtype)
    state = torch.cat(
        [
            model.decode(ids[i : i + PREFILL_ROWS], cache.rows(slice(i, i + PREFILL_ROWS)), 0)
            for i in range(0, len(jobs), PREFILL_ROWS)
        ]
    )
    running = torch.arange(len(jobs))
    alive = torch.ones(len(jobs), dtype=torch.bool)
    written: list[list[tuple[int, Tensor, Tensor, float]]] = [[] for _ in jobs]
    for step in range(new):
        logits = F.linear(state, model.head).float()
        best, best_ids = logits.topk(top, -1)
        mass = logits.logsumexp(-1)
        drawn = draw(logits, best, best_ids, temperature[running], random)
        for row, index in enumerate(running.tolist()):
            written[index].append((int(drawn[row]), best_ids[row], best[row], float(mass[row])))
        alive &= ~torch.isin(drawn, stops)
        if step == new - 1 or not bool(alive.any()):
            break
        if alive.float().mean() <= COMPACT_BELOW:
            running, drawn, cache, alive = running[alive], drawn[alive], cache.rows(alive), alive[alive]
        state = model.decode(drawn[:, None], cache, longest + step)
    return [finish(job, tokens, stop_ids) for job, tokens in zip(jobs, written, strict=True)]


def draw(logits: Tensor, best: Tensor, best_ids: Tensor, temperature: Tensor, random: torch.Generator) -> Tensor:
    """One id per row: the likeliest at temperature 0, else an exact draw (the tail is looked at when it is hit)."""
    greedy = best_ids[:, 0]
    if not bool((temperature > 0).any()):
        return greedy
    heat = temperature.clamp(min=1e-3)[:, None]
    shares = (best / heat - (logits / heat).logsumexp(-1, keepdim=True)).exp().cumsum(-1)
    place = (shares < torch.rand(len(best), 1, generator=random)).sum(-1)
    drawn = best_ids.gather(1, place.clamp(max=best.shape[1] - 1)[:, None])[:, 0]
    for row in torch.nonzero((place >= best.shape[1]) & (temperature > 0))[:, 0].tolist():
        tail = (logits[row] / heat[row]).softmax(-1)
        tail[best_ids[row]] = 0
        drawn[row] = torch.multinomial(tail, 1, generator=random)[0]
    return torch.where(temperature > 0, drawn, greedy)


def finish(job: Job, tokens: list[tuple[int, Tensor, Tensor, float]], stop_ids: list[int]) -> Text:
    """The text up to and with its first stop id (a finished row may have run on until the batch was compacted)."""
    ids = [token[0] for token in tokens]
    end = next((i + 1 for i, token in enumerate(ids) if token in stop_ids), len(ids))
    return Text(
        domain=job.domain,
        temperature=job.temperature,
        prompt=len(job.prompt),
        ids=np.array(job.prompt + ids[:end], np.int32),
        top_ids=torch.stack([token[1] for token in tokens[:end]]).to(torch.int32).numpy(),
        top_logits=torch.stack([token[2] for token in tokens[:end]]).half().numpy(),
        logsumexp=np.array([token[3] for token in tokens[:end]], np.float32),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="source", type=Path, required=True, help="prompts.jsonl")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--batch", type=int, default=64, help="sequences at a time")
    parser.add_argument("--new", type=int, default=128, help="most tokens per text")
    parser.add_argument("--top", type=int, default=64, help="logits kept per token")
    parser.add_argument("--limit", type=int, default=0, help="prompts used (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work")
    parser.add_argument("--worker", type=int, default=0, help="which of them this is, from 0")


def main(args: argparse.Namespace, progress: Progress) -> None:
    vocabulary = Vocabulary.read(args.target)
    model = read_model(args.target, torch.bfloat16)
    prompts = read_prompts(args.source)
    jobs = [encode(prompt, vocabulary) for prompt in prompts[: args.limit or None]]
    groups = plan([job for job in jobs if len(job.prompt) + args.new <= model.c.context], args.batch)
    args.out.mkdir(parents=True, exist_ok=True)
    tokens, began = 0, time.monotonic()
    for index in range(args.worker, len(groups), args.workers):
        path = shard_path(args.out, index)
        if path.exists():
            continue
        random = torch.Generator().manual_seed(args.seed + index)
        texts = write(model, groups[index], args.new, args.top, vocabulary.stop_ids, random)
        write_shard(path, texts)
        tokens += sum(text.response for text in texts)
        progress.step(index + 1, len(groups), tokens=tokens, tok_s=tokens / (time.monotonic() - began))
    paths = [shard_path(args.out, index) for index in range(len(groups))]
    if all(path.exists() for path in paths):
        write_text(args.out / MANIFEST_FILE, json.dumps(manifest(paths), indent=2) + "\n")


def manifest(paths: list[Path]) -> dict[str, object]:
    """What a finished folder holds, for a draft's lineage."""
    texts = [text for path in paths for text in read_shard(path)]
    tokens = Counter(dict.fromkeys(sorted({text.domain for text in texts}), 0))
    for text in texts:
        tokens[text.domain] += text.response
    return {"texts": len(texts), "tokens": dict(tokens), "shards_sha256": [sha256(path) for path in paths]}
