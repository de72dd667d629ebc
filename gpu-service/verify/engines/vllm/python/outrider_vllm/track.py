"""A request of ours, from its start to its end: its hints, what they have been worth, and what it may still waste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outrider_vllm.arrivals import Arrivals, Frame
from outrider_vllm.costs import StepCosts
from outrider_vllm.hints import Hint, HintStore
from outrider_vllm.hold import Prospect
from outrider_vllm.worth import WASTE_SHARE, Acceptance, Offer

# Rounding must not keep the one row back that a request begins with.
FIRST_ROW = 1.01


@dataclass(frozen=True)
class Extent:
    """How much runs in a step: requests, and hint rows of all of them."""

    requests: int
    hint_rows: int


NOTHING = Extent(0, 0)


@dataclass(frozen=True)
class Report:
    """What a step brought one request. `drafted`: the source of each hint row that ran."""

    ids: tuple[int, ...]
    drafted: tuple[str, ...]
    accepted: int


class Experience:
    """What is known of all requests together: what a new one begins with."""

    def __init__(self) -> None:
        self.acceptance = Acceptance()
        self.arrivals = Arrivals()


class Track:
    def __init__(self, prior: Experience, has_drafts: bool) -> None:
        self.has_drafts = has_drafts
        self.steps = 0
        self.rows = 0
        """Hint rows in the step that runs."""
        self.extent = NOTHING
        """That step's. Another may have been planned since: a pipeline has several under way."""
        self.credit: float | None = None
        """Milliseconds that hint rows and waits may still waste; None until the first step that could have one."""
        self._prefill_ms = 0.0
        self._acceptance = Acceptance(prior.acceptance)
        self._arrivals = Arrivals(prior.arrivals)
        self._hints = HintStore()
        self._foretold: list[tuple[int, str]] = []
        self._source = "model"

    def hint(self, hint: Hint, text: Sequence[int], now: float, is_waited: bool) -> None:
        """It came in at `now`; `is_waited`: while a step was held back."""
        self._source = hint.source
        if hint.path < self._hints.path:
            return
        before = self.hints_at_hand(len(text))
        self._hints.add(hint, text)
        have = self.hints_at_hand(len(text))
        refused_at = self._hints.refused_at if self._hints.is_refused and have == 0 else None
        self._arrivals.hinted(Frame(hint.path, hint.at, have, have - before, is_waited, refused_at), now)

    def hints_at_hand(self, end: int, most: int = 64) -> int:
        return len(self._hints.next(end, most))

    def prefilled(self, ms: float) -> None:
        """Its part of a step that ran its prompt: plain time, as that of other steps."""
        self._prefill_ms += ms

    def offer(self, end: int, most: int, row_ms: float) -> Offer:
        """What could be tried of the hints that follow position `end`; `row_ms`: the price of one row."""
        self._foretold = self._hints.next(end, most) if most > 0 else []
        if self.credit is None:
            self.credit = row_ms * FIRST_ROW + self._prefill_ms * WASTE_SHARE
        chance, chances = 1.0, []
        for place, (_, source) in enumerate(self._foretold):
            chance *= self._acceptance.rate(source, place)
            chances.append(chance)
        return Offer(chances, self.credit)

    def foretold(self, rows: int) -> list[int]:
        return [token for token, _ in self._foretold[:rows]]

    def prospect(self, end: int, most: int, now: float) -> Prospect:
        """The same before it is decided whether to wait."""
        sources = [source for _, source in self._hints.next(end, most)] if self.has_drafts else []
        have = len(sources)
        sources += [self._source] * (most - have)
        rates = [self._acceptance.rate(source, place) for place, source in enumerate(sources)]
        awaited = self._arrivals.awaited(have, end, now) if have < most else None
        return Prospect(have, rates, awaited, self.credit or 0.0)

    def waited(self, ms: float, is_vain: bool, have: int) -> None:
        """A step was held back for it, at its expense; `is_vain`: until more than `have` ids were given up."""
        self.credit = (self.credit or 0.0) - ms
        if is_vain:
            self._arrivals.missed(have)

    def settle(self, at: int, ids: Sequence[int], costs: StepCosts) -> Report:
        """The step brought `ids`, which go on from position `at`."""
        accepted = self._observe(ids)
        for place, token in enumerate(ids):
            self._hints.advance(at + place, token)
        if self.credit is not None:
            requests, hint_rows = self.extent.requests, self.extent.hint_rows
            share = costs.ms(requests, 0) / requests
            price = costs.ms(requests, hint_rows) - costs.ms(requests, hint_rows - self.rows)
            self.credit += share * (accepted + WASTE_SHARE) - price
        report = Report(tuple(ids), tuple(source for _, source in self._foretold[: self.rows]), accepted)
        self._foretold, self.rows = [], 0
        return report

    def committed(self, end: int, now: float) -> None:
        """The edge is told at `now` of a text that ends before position `end`."""
        have = self.hints_at_hand(end, 1) > 0
        is_astray = not have and (self._hints.path < 0 or self._hints.is_refused)
        self._arrivals.committed(end, now, have, is_astray)

    def _observe(self, ids: Sequence[int]) -> int:
        """How many of the ids hint rows had foretold. A row that did not run still shows whether its id was right."""
        right = 0
        for place, ((foretold, source), token) in enumerate(zip(self._foretold, ids, strict=False)):
            self._acceptance.observe(source, place, foretold == token)
            if foretold != token:
                break
            right += 1
        return min(right, self.rows)
