"""What a step costs: milliseconds by requests and hint rows, linear between points that were measured at load.

A machine may have been busy with other things then, so every step that runs corrects them. How fast it is as a whole
just now, with so many requests, is a pace of its own; a point moves by what is left.
"""

from __future__ import annotations

import math

# Weight of one step in the pace, and in its points.
PACE_GAIN = 0.2
POINT_GAIN = 0.02
# A step further off than this factor was disturbed: it counts as if it had been no further.
MOST_DEVIATION = math.log(1.5)


class StepCosts:
    """`points`: (hint rows, milliseconds) of steps of one request, by rising rows, the first without hint rows.

    `is_known`: prices are what they are, only the pace is learnt.
    """

    def __init__(self, points: list[tuple[int, float]], is_known: bool = False) -> None:
        if len(points) < 2 or points[0][0] != 0:
            raise ValueError(f"step costs: a step without hint rows and one with some, not {points}")
        self._rows = [rows for rows, _ in points]
        self._ms = [ms for _, ms in points]
        self._is_known = is_known
        # Logarithm of how much slower than the points a step is, by its requests.
        self._pace: dict[int, float] = {}
        self._level_points()

    @staticmethod
    def of_price(price: float) -> StepCosts:
        """Where a hint row is known to add that part of a plain step."""
        return StepCosts([(0, 1.0), (1, 1.0 + price)], is_known=True)

    def ms(self, requests: int, hint_rows: int) -> float:
        return self._points_ms(hint_rows) * math.exp(self._pace_of(requests))

    def rows_ms(self, requests: int, hint_rows: int) -> float:
        """What so many hint rows add."""
        return self.ms(requests, hint_rows) - self.ms(requests, 0)

    def observe(self, requests: int, hint_rows: int, ms: float) -> None:
        off = math.log(ms / self.ms(requests, hint_rows))
        if requests in self._pace or not self._is_known:
            off = max(-MOST_DEVIATION, min(MOST_DEVIATION, off))
        is_first = requests not in self._pace
        self._pace[requests] = self._pace_of(requests) + off * (1.0 if is_first else PACE_GAIN)
        if self._is_known or is_first:
            return
        low, high = self._around(hint_rows)
        share = min(1.0, max(0.0, (hint_rows - self._rows[low]) / (self._rows[high] - self._rows[low])))
        self._ms[low] *= math.exp(POINT_GAIN * off * (1 - share))
        self._ms[high] *= math.exp(POINT_GAIN * off * share)
        self._level_points()

    def _pace_of(self, requests: int) -> float:
        """Of as many requests, or of the nearest number of them that has run."""
        if not self._pace:
            return 0.0
        return self._pace[min(self._pace, key=lambda known: (abs(known - requests), known))]

    def _points_ms(self, rows: int) -> float:
        low, high = self._around(rows)
        slope = (self._ms[high] - self._ms[low]) / (self._rows[high] - self._rows[low])
        return self._ms[low] + slope * (rows - self._rows[low])

    def _around(self, rows: int) -> tuple[int, int]:
        """The two points between which `rows` lie, or the last two."""
        high = next((i for i, known in enumerate(self._rows) if known >= rows and i > 0), len(self._rows) - 1)
        return high - 1, high

    def _level_points(self) -> None:
        """Fewer rows never cost more: what makes it seem so disturbs, and disturbances only add."""
        for i in range(len(self._ms) - 2, -1, -1):
            self._ms[i] = min(self._ms[i], self._ms[i + 1])
