"""Stage `generate`: let the target write, and keep what distilling needs of its mind.

In: prompts.jsonl (stage `prompts`) and the target's folder. Out: one shard of texts per batch (`texts.py`).
A shard that exists is not written again, and each has a seed of its own: killed anywhere, a rerun goes on.
With `--writer` a draft writes the answers and the target reads them: what it would have said where the draft leads to.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import torch

from checkpoints.digest import sha256_of
from trainer.checkpoint import read_model
from trainer.corpus import MANIFEST_FILE
from trainer.device import add_device, device_of, writing_type
from trainer.folders import write_text
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.prompt_file import Prompt, read_prompts
from trainer.texts import Text, read_shard, shard_path, write_shard
from trainer.traffic import batches, read_again
from trainer.vocabulary import Vocabulary
from trainer.writing import Job, write

WRITERS_TOP = 16
"""Logits of a writing draft that are sorted before each draw; they are not kept."""
READ_TOKENS = 8192
"""Per pass of the target over what a draft wrote."""


def encode(prompt: Prompt, vocabulary: Vocabulary) -> Job:
    return Job(vocabulary.encode(prompt.text), prompt.temperature, prompt.domain)


def plan(jobs: list[Job], batch: int) -> list[list[Job]]:
    """Batches of similar prompt length, cut from stretches of eight batches: every part of the list stays mixed."""
    groups = []
    for start in range(0, len(jobs), 8 * batch):
        stretch = sorted(jobs[start : start + 8 * batch], key=lambda job: len(job.prompt))
        groups += [stretch[i : i + batch] for i in range(0, len(stretch), batch)]
    return groups


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="source", type=Path, required=True, help="prompts.jsonl")
    parser.add_argument("--target", type=Path, required=True, help="Hugging Face folder of the target")
    parser.add_argument("--writer", type=Path, help="folder of a draft that writes the answers (default: the target)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards")
    parser.add_argument("--batch", type=int, default=64, help="sequences at a time")
    parser.add_argument("--new", type=int, default=128, help="most tokens per text")
    parser.add_argument("--top", type=int, default=64, help="logits kept per token")
    parser.add_argument("--limit", type=int, default=0, help="prompts used (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    add_device(parser)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the work")
    parser.add_argument("--worker", type=int, default=0, help="which of them this is, from 0")


def main(args: argparse.Namespace, progress: Progress) -> None:
    device = device_of(args.device)
    vocabulary = Vocabulary.read(args.target)
    model = read_model(args.target, writing_type(device)).to(device)
    writer = read_model(args.writer, writing_type(device)).to(device) if args.writer else model
    prompts = read_prompts(args.source)
    jobs = [encode(prompt, vocabulary) for prompt in prompts[: args.limit or None]]
    longest = min(model.c.context, writer.c.context)
    groups = plan([job for job in jobs if len(job.prompt) + args.new <= longest], args.batch)
    args.out.mkdir(parents=True, exist_ok=True)
    tokens, began = 0, time.monotonic()
    for index in range(args.worker, len(groups), args.workers):
        path = shard_path(args.out, index)
        if path.exists():
            continue
        random = torch.Generator(device).manual_seed(args.seed + index)
        if args.writer:
            texts = written_by(writer, model, groups[index], args.new, args.top, vocabulary.stop_ids, random)
        else:
            texts = write(model, groups[index], args.new, args.top, vocabulary.stop_ids, random)
        write_shard(path, texts)
        tokens += sum(text.response for text in texts)
        progress.step(index + 1, len(groups), tokens=tokens, tok_s=tokens / (time.monotonic() - began))
    paths = [shard_path(args.out, index) for index in range(len(groups))]
    if all(path.exists() for path in paths):
        write_text(args.out / MANIFEST_FILE, json.dumps(manifest(paths), indent=2) + "\n")


def written_by(
    writer: Llama,
    target: Llama,
    jobs: list[Job],
    new: int,
    top: int,
    stop_ids: list[int],
    random: torch.Generator,
) -> list[Text]:
    """What a draft writes, with the target's logits at every place."""
    texts = write(writer, jobs, new, min(WRITERS_TOP, len(writer.head)), stop_ids, random)
    return [text for batch in batches(texts, READ_TOKENS) for text in read_again(target, batch, top)]


def manifest(paths: list[Path]) -> dict[str, object]:
    """What a finished folder holds, for a draft's lineage."""
    texts = [text for path in paths for text in read_shard(path)]
    tokens = Counter(dict.fromkeys(sorted({text.domain for text in texts}), 0))
    for text in texts:
        tokens[text.domain] += text.response
    return {"texts": len(texts), "tokens": dict(tokens), "shards_sha256": [sha256_of(path) for path in paths]}
