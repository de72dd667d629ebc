"""Hints as they come in: only known ids, and those that come before vLLM has taken their request in are kept for it."""

from __future__ import annotations

from dataclasses import replace

from outrider_vllm.hints import Hint

MAX_EARLY_HINTS = 16


def known_hint(hint: Hint, vocabulary: int) -> Hint | None:
    """Each list up to its first id that is none: one beyond the vocabulary would end the process."""

    def known(ids: tuple[int, ...]) -> tuple[int, ...]:
        bad = next((i for i, token in enumerate(ids) if not 0 <= token < vocabulary), None)
        return ids if bad is None else ids[:bad]

    ids = known(hint.ids)
    if not ids:
        return None
    branches = tuple(replace(branch, ids=kept) for branch in hint.branches if (kept := known(branch.ids)))
    return replace(hint, ids=ids, branches=branches)


class EarlyHints:
    """By stream, the newest of them."""

    def __init__(self) -> None:
        self._hints: dict[int, list[Hint]] = {}

    def add(self, stream: int, hint: Hint) -> None:
        self._hints[stream] = [*self._hints.get(stream, []), hint][-MAX_EARLY_HINTS:]

    def take(self, stream: int) -> list[Hint]:
        return self._hints.pop(stream, [])
