"""`plan`: what a recipe's training, or that of one model, will cost: parameters, memory per device, steps, hours.

Nothing is run and no weights are read. Hours are the operations of `cost.py` over the peak of the hardware times the
share of it that training reaches (`--mfu`; the default is the hardware's own, `hardware.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.budget import Machines, Work, lines, plan_of
from trainer.checkpoint import CONFIG_FILE, read_config
from trainer.errors import TrainerError
from trainer.hardware import find_hardware
from trainer.llama import LlamaConfig
from trainer.parallel import STRATEGIES
from trainer.places import planned_places
from trainer.progress import Progress
from trainer.recipe import Places, Recipe, parse_stage, read_recipe
from trainer.target import MANIFEST_FILE
from trainer.vocabulary import TOKENIZER_FILE, Vocabulary, read_json

TEXT = 256


def works_of(recipe: Recipe, places: Places, parser_of: Callable[[str], argparse.ArgumentParser]) -> list[Work]:
    """The training stages of a recipe, in order, each with the shape that it trains."""
    shapes: dict[Path, LlamaConfig] = {}
    vocabularies: dict[Path, int] = {}
    works = []
    for entry in recipe.stages:
        stage, args = entry["stage"], parse_stage(entry, parser_of, places, recipe.seed)
        if stage == "tokenize":
            vocabularies[args.out] = args.train_vocab or vocabulary_of(args.tokenizer)
        elif stage == "pretrain":
            shapes[args.out] = shape_from_flags(args, args.vocab or vocabularies.get(args.tokens, 0))
            works.append(Work(stage, shapes[args.out], args.steps, args.batch, args.sequence, args.micro_batch))
        elif stage == "finetune":
            shapes[args.out] = shape_of(args.model, shapes)
            works.append(Work(stage, shapes[args.out], args.steps, args.batch, args.sequence, args.micro_batch))
        elif stage == "grow":
            shapes[args.out] = replace(shape_of(args.model, shapes), vocab=shape_of(args.target, shapes).vocab)
        elif stage == "distil":
            works.append(distilling(args, shapes))
    return works


def distilling(args: argparse.Namespace, shapes: dict[Path, LlamaConfig]) -> Work:
    """Batches of distilling hold texts of many lengths; they count as sequences of `TEXT` tokens."""
    shape = shape_of(args.draft or args.target, shapes)
    settings: dict[str, Any] = dict(vars(shape))
    if args.layers and not args.draft:
        settings |= {"layers": len(args.layers)}
    if args.head_rows:
        settings |= {"head_rows": args.head_rows, "tied": False}
    return Work("distil", LlamaConfig(**settings), args.steps, max(1, args.tokens // TEXT), min(TEXT, args.tokens), 0)


def shape_from_flags(args: argparse.Namespace, vocab: int) -> LlamaConfig:
    """TrainerError where nothing says how large the vocabulary is."""
    from trainer.pretrain import shape

    if not vocab:
        raise TrainerError("the vocabulary is not known before the tokenizer is there: give stage pretrain a 'vocab'")
    return shape(args, vocab)


def shape_of(folder: Path, shapes: dict[Path, LlamaConfig]) -> LlamaConfig:
    """Of a stage before, of a Hugging Face folder, or, where that is yet to be made, of what the verifier loads."""
    if folder in shapes:
        return shapes[folder]
    converted = folder.parent / MANIFEST_FILE
    if (folder / CONFIG_FILE).exists() or not converted.exists():
        return read_config(folder)
    fields = read_json(converted)
    names = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "context", "tied")
    return LlamaConfig(**{name: fields[name] for name in names}, vocab=fields["vocab_size"])


def vocabulary_of(folder: Path | None) -> int:
    return Vocabulary.read(folder).size if folder and (folder / TOKENIZER_FILE).exists() else 0


def add_hardware_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hardware", default="here", help="`here`, or a card: mi250, a100, h100, ...")
    parser.add_argument("--devices", type=int, default=1, help="cards, of all machines together")
    parser.add_argument("--strategy", choices=STRATEGIES, help="default: fsdp on more than one process")
    parser.add_argument("--mfu", type=float, help="share of the peak that training reaches (default: the card's)")


def machines_of(args: argparse.Namespace) -> Machines:
    hardware = find_hardware(args.hardware)
    many = args.devices * hardware.processes > 1
    return Machines(hardware, args.devices, args.strategy or ("fsdp" if many else "ddp"), args.mfu or hardware.mfu)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", type=Path, help="JSON file: plans each of its training stages")
    parser.add_argument("--model", type=Path, help="or: a folder with config.json")
    parser.add_argument("--steps", type=int, default=1, help="with --model")
    parser.add_argument("--batch", type=int, default=1, help="with --model: sequences per step")
    parser.add_argument("--sequence", type=int, help="with --model: tokens per sequence (default: the context)")
    parser.add_argument("--micro-batch", type=int, default=0, help="with --model: sequences at a time and process")
    parser.add_argument(
        "--models", type=Path, action="append", default=[], help="where ids are looked up (MODELS_ROOT)"
    )
    add_hardware_arguments(parser)


def main(args: argparse.Namespace, progress: Progress) -> None:
    if bool(args.recipe) == bool(args.model):
        raise TrainerError("name a --recipe or a --model")
    if args.model:
        if not (args.model / CONFIG_FILE).exists():
            raise TrainerError(f"{args.model} is no Hugging Face folder: {CONFIG_FILE} is missing")
        c = read_config(args.model)
        works = [Work("train", c, args.steps, args.batch, args.sequence or c.context, args.micro_batch)]
    else:
        works = recipe_works(args.recipe, args.models)
    show(works, args)


def recipe_works(recipe_file: Path, models: list[Path]) -> list[Work]:
    from trainer.stages import parser_of

    recipe = read_recipe(recipe_file)
    return works_of(recipe, planned_places(recipe, models, Path("work"), Path("out")), parser_of)


def show(works: list[Work], args: argparse.Namespace) -> None:
    machines = machines_of(args)
    for work in works:
        print("\n".join(lines(plan_of(work, machines))))
