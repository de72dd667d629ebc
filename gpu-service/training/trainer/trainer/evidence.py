"""`evidence`: what the gates before publishing need of Python: golden logits of the image, held-out prompts, leaks.

One command for all three, since loading PyTorch takes longer than most of it. Written are `golden.json`, `held.json`
({"stop_ids", "prompts": [{"domain", "ids"}]}) and `leaks.json`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from trainer.decontaminate import against_evaluation
from trainer.folders import write_text
from trainer.golden import golden
from trainer.held_prompts import held_prompts
from trainer.leaks import find_leaks
from trainer.places import model_roots
from trainer.progress import Progress
from trainer.recipe import read_recipe
from trainer.target import find_target, make_folder
from trainer.vocabulary import Vocabulary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--release", type=Path, required=True, help="folder of stage `export`")
    parser.add_argument("--target-id", required=True, help="the target that the release is for")
    parser.add_argument("--recipe", type=Path, required=True, help="JSON file that made it")
    parser.add_argument("--work", type=Path, required=True, help="folder in which its stages ran")
    parser.add_argument("--held", type=int, required=True, help="prompts per domain")
    parser.add_argument("--models", type=Path, action="append", default=[], help="where targets are (MODELS_ROOT)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")


def main(args: argparse.Namespace, progress: Progress) -> None:
    target = find_target(args.target_id, model_roots(args.models))
    make_folder(target, progress)
    vocabulary = Vocabulary.read(target.folder)
    prompts = [
        {"domain": prompt.domain, "ids": vocabulary.encode(prompt.text)}
        for prompt in held_prompts(vocabulary, args.held)
        if prompt.temperature == 0
    ]
    leaks = find_leaks(read_recipe(args.recipe), args.work, vocabulary, against_evaluation())
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "golden.json", golden(args.release))
    write(args.out / "held.json", {"stop_ids": vocabulary.stop_ids, "prompts": prompts})
    write(args.out / "leaks.json", asdict(leaks))


def write(path: Path, value: object) -> None:
    write_text(path, json.dumps(value) + "\n")
