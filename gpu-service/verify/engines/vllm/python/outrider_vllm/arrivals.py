"""The hint-wait: whether the next step is better held back until hints are there that are on their way.

A step that starts at once brings a request without hints one token, and of the hints that arrive meanwhile those after
the first. A step that waits brings the first as well, for the time that it waits: the chance of one token more. A wait
holds up every request, so it has to be worth it for all together; the requests' ledgers pay for it. How long hints take
is learnt per request from their arrivals. All times are milliseconds of one clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass

LEARNING = 0.25
# A wait has to promise so many tokens: times vary, and an idle moment is certain.
LEAST_WORTH = 0.02


class Mean:
    """A fading mean, and the fading mean of how far off it was."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.spread = 0.0

    def add(self, x: float) -> None:
        if self.value is None:
            self.value, self.spread = x, x / 2
            return
        self.spread += LEARNING * (abs(x - self.value) - self.spread)
        self.value += LEARNING * (x - self.value)

    @property
    def late(self) -> float:
        """By then it has nearly always come."""
        return (self.value or 0.0) + 2 * self.spread


@dataclass(frozen=True)
class Awaited:
    """`chance`: that it comes; in `wait` milliseconds if so, and given up after `give_up`."""

    chance: float
    wait: float
    give_up: float


class Arrivals:
    """One request: when fresh hints come after a step that left it with none, and how fast further ids follow."""

    def __init__(self) -> None:
        self._first = Mean()
        self._gap = Mean()
        self._chance = 0.5
        self._bare_since: float | None = None
        self._last: float | None = None
        self._has_given_up = False

    def stepped(self, now: float, have: int) -> None:
        """A step's tokens went out; `have` hinted ids lead on from them."""
        if have > 0:
            self._bare_since = None
        elif self._bare_since is None:
            self._bare_since = now
        self._last = None if have == 0 else self._last
        self._has_given_up = False

    def hinted(self, now: float, had: int, have: int) -> None:
        """A hint came in: of the ids that lead on from the text there were `had`, now there are `have`."""
        if have <= had:
            return
        if had == 0 and self._bare_since is not None:
            self._first.add(now - self._bare_since)
            self._chance += LEARNING * (1 - self._chance)
            self._bare_since = None
        elif self._last is not None:
            self._gap.add((now - self._last) / (have - had))
        self._last = now

    def missed(self) -> None:
        """It was waited for in vain."""
        self._has_given_up = True
        if self._last is None:
            self._chance += LEARNING * (0 - self._chance)

    def awaited(self, now: float, have: int) -> Awaited | None:
        """The next id, where one is on its way as far as is known."""
        expected, since = (self._gap, self._last) if have else (self._first, self._bare_since)
        if self._has_given_up or since is None or expected.value is None:
            return None
        left = since + expected.late - now
        if left <= 0:
            return None
        return Awaited(1.0 if have else self._chance, max(since + expected.value - now, 0.1), left)


@dataclass(frozen=True)
class Prospect:
    """One request before a step, in tokens: what it brings at once, and what the awaited id would add if it is right.

    `credit_ms`: what it may still waste.
    """

    tokens: float
    awaited: Awaited | None = None
    gain: float = 0.0
    credit_ms: float = 0.0


def worthwhile_wait(prospects: list[Prospect], plain_ms: float) -> float:
    """Milliseconds to hold the next step back, unless what is waited for comes sooner; 0: it starts at once."""
    pace = sum(p.tokens for p in prospects) / plain_ms
    waits = sorted(
        ((p.awaited, p) for p in prospects if p.awaited and p.credit_ms > p.awaited.wait), key=lambda pair: pair[0].wait
    )
    gain, best, until = 0.0, LEAST_WORTH, 0.0
    for awaited, prospect in waits:
        gain += awaited.chance * prospect.gain
        expected = awaited.chance * awaited.wait + (1 - awaited.chance) * awaited.give_up
        if gain - pace * expected > best:
            best = gain - pace * expected
            until = min(awaited.give_up, prospect.credit_ms)
    return until
