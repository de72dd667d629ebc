"""One invented exercise: its names, its wordings, and the answer that its examples show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    names: tuple[str, ...]
    argument: str
    """Kind of the argument: numbers, text, words or number."""
    returns: str
    wordings: tuple[str, ...]
    answer: Callable[[Any], Any]
