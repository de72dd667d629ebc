"""Invented programming exercises: a typed signature, a docstring and examples whose answers are computed.

They stand for the prompts that people send to code completion; the target writes the body.
"""

from __future__ import annotations

import random
from typing import Any

from trainer.exercise_tasks import TASKS

WORDS = [
    "apple",
    "river",
    "stone",
    "cloud",
    "green",
    "tiger",
    "window",
    "summer",
    "bottle",
    "garden",
    "silver",
    "rocket",
    "pencil",
    "monkey",
    "dragon",
    "island",
    "velvet",
    "copper",
    "planet",
    "winter",
    "basket",
    "candle",
    "forest",
    "bridge",
    "puzzle",
    "mirror",
    "anchor",
    "feather",
    "ladder",
    "marble",
]


TYPES = {"numbers": "List[int]", "text": "str", "words": "List[str]", "number": "int"}
ARGUMENTS = {
    "numbers": ("numbers", "values", "nums", "items", "lst", "arr"),
    "text": ("text", "s", "string", "sentence", "word"),
    "words": ("words", "strings", "names", "tokens"),
    "number": ("n", "number", "value", "x", "limit"),
}


def sample(kind: str, r: random.Random) -> Any:
    if kind == "numbers":
        return [*r.sample(range(1, r.choice((10, 30, 60))), r.randint(2, 5)), r.randint(1, 9)]
    if kind == "text":
        return " ".join(r.choice(WORDS) for _ in range(r.choice((1, 1, 2, 3))))
    if kind == "words":
        return [r.choice(WORDS) for _ in range(r.randint(2, 4))]
    return r.randint(2, 40)


def exercise(r: random.Random) -> str:
    """A function's head as source, docstring closed, ready for its body."""
    task = r.choice(TASKS)
    name, argument = r.choice(task.names), r.choice(ARGUMENTS[task.argument])
    typed = r.random() < 0.7
    returns = task.returns if typed else ""
    signature = f"def {name}({argument}: {TYPES[task.argument]}) -> {returns}:" if typed else f"def {name}({argument}):"
    imports = sorted({part for part in ("List", "Dict") if typed and part in signature})
    quote = r.choice(('"""', '"""', "'''"))
    lines = [r.choice(("", " ")) + r.choice(task.wordings)]
    for _ in range(r.choice((0, 1, 2, 2, 3))):
        given = sample(task.argument, r)
        lines += [f">>> {name}({given!r})", repr(task.answer(given))]
    body = "\n".join([f"    {quote}{lines[0]}", *[f"    {line}" for line in lines[1:]], f"    {quote}"])
    head = f"from typing import {', '.join(imports)}\n\n\n" if imports else r.choice(("", "\n", "import math\n\n\n"))
    return f"{head}{signature}\n{body}\n"
