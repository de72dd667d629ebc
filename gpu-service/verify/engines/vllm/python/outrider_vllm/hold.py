"""The hint-wait: whether the next step is better held back until hints are there that are on their way.

As `gpu-service/verify/scheduler/hold.ts`. A step that starts at once brings a request without hints one token, and of
the hints that arrive meanwhile those after the first, if the first was right. A step that waits brings the first as
well, for the time that it waits. Both are compared by expected tokens at the pace (tokens per millisecond) of starting
at once: at that pace starting at once is worth nothing, so a wait of positive worth is the faster way. A wait holds up
every request, so it has to be worth it for all together; those who are waited for pay for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from outrider_vllm.arrivals import Awaited
from outrider_vllm.costs import StepCosts

# A wait has to promise so many tokens: times vary, and an idle moment is certain.
LEAST_WORTH = 0.02


@dataclass(frozen=True)
class Prospect:
    """One request before a step. `have`: hinted ids that are there; `rates`: chance that hinted id k is right if all
    before it are, as far as hint rows may go; `credit`: milliseconds that it may still waste."""

    have: int
    rates: Sequence[float]
    awaited: Awaited | None
    credit: float

    def tokens(self, rows: int) -> float:
        """Expected of a step with so many hint rows."""
        total, reach = 1.0, 1.0
        for rate in self.rates[:rows]:
            reach *= rate
            total += reach
        return total


@dataclass(frozen=True)
class Hold:
    """The next step is held back for `ms`. `waiters`: which of the prospects are waited for, and for how long each."""

    ms: float
    waiters: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class _Outcome:
    """What a choice brings a request, beside the plain step that runs in any case."""

    tokens: float
    ms: float

    def worth(self, pace: float) -> float:
        return self.tokens - pace * self.ms


@dataclass(frozen=True)
class _Candidate:
    index: int
    wait_ms: float
    give_up_ms: float
    gain: float


def worthwhile_hold(prospects: Sequence[Prospect], costs: StepCosts) -> Hold | None:
    """None: the step starts at once."""
    if all(prospect.awaited is None for prospect in prospects):
        return None
    steps = _Steps(costs, len(prospects))
    pace = _pace_at_once(prospects, steps)
    candidates = [_best_wait(index, prospect, pace, steps) for index, prospect in enumerate(prospects)]
    known = sorted((c for c in candidates if c), key=lambda candidate: candidate.wait_ms)
    chosen = _worthiest(known, pace)
    if not chosen:
        return None
    affordable = min(prospects[candidate.index].credit for candidate in chosen) * len(chosen)
    ms = min(affordable, *(candidate.give_up_ms for candidate in chosen))
    if ms <= 0 or affordable < chosen[-1].wait_ms:
        return None
    return Hold(ms, tuple((candidate.index, candidate.give_up_ms) for candidate in chosen))


class _Steps:
    """Milliseconds of a step of `requests`, and of one request's part in it."""

    def __init__(self, costs: StepCosts, requests: int) -> None:
        self.plain_ms = costs.ms(requests, 0)
        self.share_ms = self.plain_ms / requests
        self._costs, self._requests = costs, requests

    def with_rows(self, prospect: Prospect, rows: int) -> _Outcome:
        return _Outcome(prospect.tokens(rows), self._costs.rows_ms(self._requests, rows))

    def best(self, prospect: Prospect, have: int, pace: float) -> _Outcome:
        """A step with as many of `have` hint rows as pay."""
        outcomes = [self.with_rows(prospect, rows) for rows in range(1, have + 1)]
        return max([_Outcome(1.0, 0.0), *outcomes], key=lambda outcome: outcome.worth(pace))


def _pace_at_once(prospects: Sequence[Prospect], steps: _Steps) -> float:
    """Tokens per millisecond of a step that starts at once and of what is under way then."""
    pace = len(prospects) / steps.plain_ms
    for _ in range(3):  # How many rows pay depends on the pace; it settles at once.
        outcomes = [_at_once(prospect, pace, steps) for prospect in prospects]
        pace = sum(o.tokens for o in outcomes) / (steps.plain_ms + sum(o.ms for o in outcomes))
    return pace


def _at_once(prospect: Prospect, pace: float, steps: _Steps) -> _Outcome:
    awaited, most = prospect.awaited, len(prospect.rates)
    if prospect.have > 0:
        return steps.best(prospect, prospect.have, pace)
    if awaited is None:
        return _Outcome(1.0, 0.0)
    # Plain steps until the first hint is there; it and those after it count if they agree with what was confirmed.
    plain = max(1, math.ceil(awaited.ms_until(1) / steps.plain_ms))
    overtaken = awaited.overtaken + plain
    if overtaken > most:
        return _Outcome(1.0, 0.0)
    there = overtaken
    while there < most and awaited.ms_until(there + 1) <= plain * steps.plain_ms:
        there += 1
    later = steps.best(prospect, there - overtaken, pace)
    chance = awaited.chance * math.prod(prospect.rates[:overtaken])
    return _Outcome(
        plain + chance * later.tokens, (plain - 1) * steps.share_ms + chance * (steps.share_ms + later.ms)
    )


def _best_wait(index: int, prospect: Prospect, pace: float, steps: _Steps) -> _Candidate | None:
    """How many of the ids under way are best waited for; None where none are."""
    awaited = prospect.awaited
    if awaited is None:
        return None
    at_once = _at_once(prospect, pace, steps).worth(pace)
    chance = awaited.chance * math.prod(prospect.rates[: awaited.overtaken])
    without = steps.best(prospect, prospect.have, pace).worth(pace)
    best, most = None, 0.0
    for count in range(prospect.have + 1, len(prospect.rates) + 1):
        until = awaited.ms_until(count + awaited.overtaken)
        wait_ms = awaited.chance * until + (1 - awaited.chance) * awaited.give_up_ms
        gain = chance * steps.with_rows(prospect, count).worth(pace) + (1 - chance) * without - at_once
        if gain - pace * wait_ms > most:
            best, most = _Candidate(index, wait_ms, awaited.give_up_ms, gain), gain - pace * wait_ms
    return best


def _worthiest(candidates: Sequence[_Candidate], pace: float) -> Sequence[_Candidate]:
    """Of the candidates, soonest first, those to wait for: all up to the one where the whole is worth most."""
    gain, most, count = 0.0, LEAST_WORTH, 0
    for number, candidate in enumerate(candidates, 1):
        gain += candidate.gain
        if gain - pace * candidate.wait_ms > most:
            most, count = gain - pace * candidate.wait_ms, number
    return candidates[:count]
