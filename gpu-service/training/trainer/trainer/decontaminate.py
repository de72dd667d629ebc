"""Keeps evaluation sets out of training data: any text that shares a run of words with one is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from trainer.evaluation_sets import chat_words, held_questions, humaneval
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


def against_evaluation() -> Callable[[str], bool]:
    """Tells texts without anything of HumanEval, of the held-out questions and of those of the benchmarks."""
    solved = [problem["prompt"] + problem["canonical_solution"] for problem in humaneval()]
    questions = [*held_questions(), *chat_words()["benchmark"]]
    runs = Decontamination([*solved, *questions])
    return lambda text: runs.clean(text) and not any(question in text for question in questions)
