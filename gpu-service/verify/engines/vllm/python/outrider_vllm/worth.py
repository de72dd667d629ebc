"""How many hint rows pay: how often hints come true, and what each request may still waste on wrong ones.

A row pays by the chance that it and all before it come true. A request's credit bounds what wrong hints can cost it:
wasted rows and waits never exceed what its hints have saved plus a small share of plain time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from outrider_vllm.costs import StepCosts

# Share of plain time that a request may waste on wrong hints.
WASTE_SHARE = 0.015
MAX_HINT_ROWS_PER_STEP = 512
# Each request is expected to move at least at this share of the pace that it has without hints.
LEAST_PACE = 0.5
FIRST_BELIEFS = {"model": 0.6, "lookup": 0.6, "memory": 0.8, "prediction": 0.8, "guess": 0.5}
# Weight of what is believed beforehand, in observations.
PRIOR_WEIGHT = 3
# Each new observation lets the earlier ones fade by this factor (half after about 45).
FADE = 0.985
# Places of a block from this one on share their counts.
PLACES = 8


class Acceptance:
    """How often hints come true, by source and place in the block (0: the first after the committed text).

    A place of which little is known is believed to be like the source's others. `prior`: what is known of all requests
    together; observations are passed on to it.
    """

    def __init__(self, prior: Acceptance | None = None) -> None:
        self._prior = prior
        # By source and place; place -1: all places.
        self._counts: dict[tuple[str, int], tuple[float, float]] = {}

    def rate(self, source: str, place: int) -> float:
        """Chance that the id at `place` is right if all before it are."""
        belief = self._prior.rate(source, place) if self._prior else FIRST_BELIEFS.get(source, 0.5)
        return self._rate(source, min(place, PLACES - 1), self._rate(source, -1, belief))

    def observe(self, source: str, place: int, came: bool) -> None:
        for key in ((source, -1), (source, min(place, PLACES - 1))):
            tried, right = self._counts.get(key, (0.0, 0.0))
            self._counts[key] = (tried * FADE + 1, right * FADE + came)
        if self._prior:
            self._prior.observe(source, place, came)

    def _rate(self, source: str, place: int, belief: float) -> float:
        tried, right = self._counts.get((source, place), (0.0, 0.0))
        return (right + belief * PRIOR_WEIGHT) / (tried + PRIOR_WEIGHT)


@dataclass(frozen=True)
class Offer:
    """`chances`: that hinted id k and all before it come true, never rising; `credit`: milliseconds it may waste."""

    chances: Sequence[float]
    credit: float


def plan_rows(offers: Sequence[Offer], requests: int, costs: StepCosts) -> list[int]:
    """Hint rows for each offer: those that raise expected tokens per millisecond.

    Rows are offered likeliest first; of all the prefixes of that order (none included) the one with the best ratio is
    taken, because cost by rows has steps in it. `requests`: how many gain a token by the step.
    """
    taken, spent, gained = [0] * len(offers), [0.0] * len(offers), [1.0] * len(offers)
    best = list(taken)
    plain = cost = costs.ms(requests, 0)
    expected = float(requests)
    best_ratio = expected / cost
    # Of equals the one with fewest rows goes first.
    heap: list[tuple[float, int, int]] = []
    for index, offer in enumerate(offers):
        if offer.chances:
            heappush(heap, (-offer.chances[0], 0, index))
    for rows in range(1, MAX_HINT_ROWS_PER_STEP + 1):
        price = costs.ms(requests, rows) - cost
        while heap and spent[heap[0][2]] + price > offers[heap[0][2]].credit:
            heappop(heap)
        if not heap:
            break
        chance, had, index = heappop(heap)
        expected -= chance
        gained[index] -= chance
        taken[index] = had + 1
        spent[index] += price
        cost += price
        if had + 1 < len(offers[index].chances):
            heappush(heap, (-offers[index].chances[had + 1], had + 1, index))
        if expected / cost > best_ratio:
            least = 1.0 if len(offers) < requests else min(gained)
            if LEAST_PACE * cost <= least * plain:
                best_ratio, best = expected / cost, list(taken)
    return best
