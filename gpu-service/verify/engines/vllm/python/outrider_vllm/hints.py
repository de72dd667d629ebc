"""Hints that wait for their turn, matched against the committed text by position and by path.

The rules are those of `gpu-service/verify/scheduler/hints.ts`, and one table of cases holds for both. A path is one
drafted line, kept as a sparse map from position to id, with branches beside it. Where the text leaves the line the path
is refused: its rest is dropped, and only a branch that leads on from the text's own tokens is still followed. A newer
path drops the older, but for branches that are being followed: it may lead on from their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# Ids further ahead of the committed text than this are dropped.
MAX_WAITING_IDS = 512
MAX_BRANCH_IDS = 64
MAX_WAITING_BRANCHES = 16


@dataclass(frozen=True)
class Stretch:
    at: int
    ids: tuple[int, ...]
    source: str
    path: int

    @property
    def end(self) -> int:
        return self.at + len(self.ids)

    def covers(self, position: int) -> bool:
        return self.at <= position < self.end

    def agrees(self, text: Sequence[int]) -> bool:
        """Whether nothing in the text says otherwise."""
        return all(text[self.at + i] == self.ids[i] for i in range(max(0, min(self.end, len(text)) - self.at)))


@dataclass(frozen=True)
class HintedBranch:
    """`start`: how many of the branch's ids an earlier hint of the path has named; `ids` are those that follow them."""

    at: int
    start: int
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Hint:
    path: int
    at: int
    ids: tuple[int, ...]
    source: str
    branches: tuple[HintedBranch, ...] = ()


class HintStore:
    """The hints of one request."""

    def __init__(self) -> None:
        self.path = -1
        self.is_refused = False
        self.refused_at = 0
        self._line: dict[int, tuple[int, str]] = {}
        # Whole. One that the text has followed to its end may still grow.
        self._branches: list[Stretch] = []

    def add(self, hint: Hint, text: Sequence[int]) -> None:
        """Takes a hint in. `text`: all committed ids; what the hint says of positions in it must agree."""
        if hint.path < self.path:
            return
        if hint.path > self.path:
            self._begin(hint.path, len(text))
        for branch in hint.branches:
            if whole := self._whole(branch, hint):
                self._add_branch(whole, text)
        if not self.is_refused:
            self._add_to_line(Stretch(hint.at, hint.ids, hint.source, hint.path), text)

    def advance(self, position: int, token: int) -> None:
        """The text goes on with `token` at `position`: what foretold otherwise is dropped."""
        foretold = self._line.pop(position, None)
        covering = [b for b in self._branches if b.covers(position)]
        is_followed = any(b.ids[position - b.at] == token for b in covering)
        is_on_line = (not covering or is_followed) if foretold is None else foretold[0] == token
        if not is_on_line:
            self._refuse(position)
        self._branches = [b for b in self._branches if not b.covers(position) or b.ids[position - b.at] == token]

    def next(self, end: int, most: int) -> list[tuple[int, str]]:
        """What follows the committed text, from position `end` on: at most `most` ids, each with its source."""
        found: list[tuple[int, str]] = []
        branch = None if end in self._line else next((b for b in self._branches if b.covers(end)), None)
        if branch:
            found = [(token, branch.source) for token in branch.ids[end - branch.at :][:most]]
        while len(found) < most and (foretold := self._line.get(end + len(found))):
            found.append(foretold)
        return found

    def _begin(self, path: int, end: int) -> None:
        """A branch that the text has begun to follow may be what the new path leads on from."""
        self.path = path
        self.is_refused = False
        self._line.clear()
        self._branches = [b for b in self._branches if b.at < end < b.end]

    def _add_to_line(self, hint: Stretch, text: Sequence[int]) -> None:
        for position, token in enumerate(hint.ids, hint.at):
            if position >= len(text) + MAX_WAITING_IDS:
                return
            if position >= len(text):
                self._line[position] = (token, hint.source)
                self._drop_overtaken(position, token, len(text))
            elif text[position] != token:
                self._refuse(position)
                return

    def _drop_overtaken(self, position: int, token: int, end: int) -> None:
        """Where a newer path says otherwise than a branch that it found being followed, the branch is out of date."""
        self._branches = [
            b for b in self._branches if b.at >= end or position >= b.end or b.ids[position - b.at] == token
        ]

    def _refuse(self, position: int) -> None:
        """The text left the line at `position`: branches that begin after it hang in the air."""
        self.refused_at = min(self.refused_at, position) if self.is_refused else position
        self.is_refused = True
        self._line.clear()
        self._branches = [b for b in self._branches if b.at <= position]

    def _whole(self, branch: HintedBranch, hint: Hint) -> Stretch | None:
        """A branch from its beginning on; None where it goes on from what is not known, or not the end of it."""
        if branch.start == 0:
            return Stretch(branch.at, branch.ids, hint.source, hint.path)
        for known in self._branches:
            if known.path == hint.path and known.at == branch.at and len(known.ids) == branch.start:
                return replace(known, ids=(known.ids + branch.ids)[:MAX_BRANCH_IDS])
        return None

    def _add_branch(self, branch: Stretch, text: Sequence[int]) -> None:
        """Adds a branch, or what it has more than one that is there already."""
        if (self.is_refused and branch.at > self.refused_at) or branch.at >= len(text) + MAX_WAITING_IDS:
            return
        if not branch.agrees(text):
            return
        for index, known in enumerate(self._branches):
            if known.at == branch.at and branch.ids[: len(known.ids)] == known.ids:
                self._branches[index] = branch
                return
        if len(self._branches) < MAX_WAITING_BRANCHES:
            self._branches.append(branch)
