"""Every command by name; a module is loaded when it is used."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from types import ModuleType

from trainer.errors import TrainerError
from trainer.recipe import RaisingParser

STAGES = {
    "corpus": "gather and clean raw text",
    "tokenize": "turn documents into ids",
    "pretrain": "train a model from fresh weights",
    "finetune": "go on with code and fill in the middle",
    "grow": "grow a draft's vocabulary to its target's",
    "prompts": "write prompts for the target",
    "generate": "let the target write texts and keep its logits",
    "unpack": "take a release's image for a draft to begin with",
    "traffic": "let the target read captured requests again and keep its logits",
    "distil": "teach a draft to foresee the target",
    "round": "round a draft's matrices to int4, on texts of its target",
    "evaluate": "measure acceptance on held-out texts",
    "compare": "measure a draft and its parent on held-out traffic",
    "perplexity": "measure a model's loss on ids",
    "humaneval": "count the problems that a model solves",
    "export": "write the release that the edge reads",
}
COMMANDS = {
    **STAGES,
    "convert": "make a target's Hugging Face folder of a GGUF file",
    "plan": "what training will cost, without running it",
    "foresight": "how well a draft foresees given texts",
    "golden": "write what an image computes, for kernels' tests",
    "evidence": "what the gates before publishing need of PyTorch",
    "run": "all stages of a recipe",
    "cluster": "the same on a Ray cluster",
}


def module_of(command: str) -> ModuleType:
    return import_module(f"trainer.{command}")


def parser_of(command: str) -> argparse.ArgumentParser:
    """The flags of one command; raises TrainerError for what is wrong."""
    if command not in COMMANDS:
        raise TrainerError(f"unknown stage {command!r}; there are {', '.join(COMMANDS)}")
    parser = RaisingParser(
        prog=f"python -m trainer {command}", allow_abbrev=False, description=module_of(command).__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    module_of(command).add_arguments(parser)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--events", type=Path, help="JSONL file that progress is appended to")
    return parser
