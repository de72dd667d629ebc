"""Prompts that the target invents: it goes on from an opening, and what it writes is kept where it is a prompt.

Chat: the template up to the user's words; they end where the target ends their turn.
Code: an exercise (`exercises.py`) as an example and the start of another function, whose head ends where its
docstring does.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from trainer.exercises import exercise
from trainer.texts import Text
from trainer.vocabulary import Vocabulary

PLACE = "\x00"
QUESTION_CHARACTERS = range(6, 800)
HEAD_CHARACTERS = range(50, 900)
QUOTES = '"""'
TYPING = ("Any", "Dict", "List", "Optional", "Set", "Tuple", "Union")
BEGINNINGS = (
    *("", "", "", "", "is_", "count_", "find_", "get_", "sum_", "max_", "min_", "sort_", "remove_", "check_"),
    *("list_", "string_", "word_", "number_", "digit_", "char_", "array_", "prime_", "matrix_", "make_", "to_"),
    *("has_", "all_", "any_", "even_", "filter_", "largest_", "compare_", "solve_", "convert_", "split_", "rotate_"),
)
"""Of function names: they spread what the target thinks of."""


def chat_frame(vocabulary: Vocabulary) -> tuple[str, str]:
    """What stands before a user's words and after them."""
    before, after = vocabulary.chat(PLACE).split(PLACE)
    return before, after


def opening(domain: str, vocabulary: Vocabulary, r: random.Random) -> str:
    if domain == "chat":
        return chat_frame(vocabulary)[0]
    return f"{exercise(r)}    pass\n\n\ndef {r.choice(BEGINNINGS)}"


def invented(texts: Iterable[Text], vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """(domain, prompt) of every text that holds one."""
    decode = vocabulary.tokenizer.decode
    for text in texts:
        written = decode(text.ids[text.prompt :].tolist(), skip_special_tokens=False)
        if text.domain == "chat":
            prompt = question_prompt(written, chat_frame(vocabulary))
        else:
            opened = decode(text.ids[: text.prompt].tolist(), skip_special_tokens=False)
            prompt = function_head(opened[opened.rindex("def ") :] + written)
        if prompt is not None:
            yield text.domain, prompt


def question_prompt(written: str, frame: tuple[str, str]) -> str | None:
    """The user's turn in its frame; None where it was not ended as the template ends it, or is no likely question."""
    before, after = frame
    end = after[: after.index(">") + 1] if ">" in after else after
    question, ended, _ = written.partition(end)
    if not ended or "<|" in question or len(question.strip()) not in QUESTION_CHARACTERS:
        return None
    return before + question + after


def function_head(source: str) -> str | None:
    """Source up to the end of the function's docstring, with the imports that it needs; None where it has none."""
    parts = source.split(QUOTES, 2)
    if len(parts) < 3 or parts[0].count("def ") != 1 or not parts[0].rstrip(" ").endswith(":\n"):
        return None
    head = QUOTES.join(parts[:2]) + QUOTES + "\n"
    if len(head) not in HEAD_CHARACTERS or "<|" in head:
        return None
    names = [name for name in TYPING if name in parts[0]]
    return f"from typing import {', '.join(names)}\n\n\n{head}" if names else head
