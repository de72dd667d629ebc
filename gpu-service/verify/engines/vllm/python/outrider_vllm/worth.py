"""How many hint rows pay: what steps cost, how often hints come true, and a ledger that bounds what wrong ones waste.

Wasted rows and waits of a request never exceed what its hints have saved it plus a small share of plain time. Costs are
in plain steps: a row's price is the part of a plain step that it adds.
"""

from __future__ import annotations

# Share of plain time that a request may waste on wrong hints.
WASTE_SHARE = 0.015
# What is believed before anything was measured: a GPU's step hardly grows by a row, a CPU's does.
FIRST_ROW_PRICE = 0.1
LEAST_ROW_PRICE, MOST_ROW_PRICE = 0.002, 1.0
FIRST_BELIEFS = {"model": 0.6, "lookup": 0.6, "memory": 0.8, "prediction": 0.8, "guess": 0.5}
PRIOR_WEIGHT = 3
# Each new observation lets the earlier ones fade by this factor (half after about 45).
FADE = 0.985


class StepCosts:
    """Milliseconds of a step by its hint rows: a line through recent steps, recent ones weighing most.

    `row_price`: where it is known beforehand, it is not measured.
    """

    def __init__(self, row_price: float | None = None) -> None:
        self._row_price = row_price
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    @property
    def plain_ms(self) -> float | None:
        """None until a step was seen."""
        if self._weight == 0:
            return None
        return max((self._y - self._slope() * self._x) / self._weight, 1e-3)

    @property
    def row_price(self) -> float:
        if self._row_price is not None:
            return self._row_price
        plain = self.plain_ms
        if plain is None:
            return FIRST_ROW_PRICE
        return min(max(self._slope() / plain, LEAST_ROW_PRICE), MOST_ROW_PRICE)

    def observe(self, hint_rows: int, ms: float) -> None:
        for name in ("_weight", "_x", "_y", "_xx", "_xy"):
            setattr(self, name, getattr(self, name) * FADE)
        self._weight += 1
        self._x += hint_rows
        self._y += ms
        self._xx += hint_rows * hint_rows
        self._xy += hint_rows * ms

    def _slope(self) -> float:
        """Least squares, drawn towards the first belief by as much as two steps of eight rows would."""
        mean = self._y / self._weight
        spread = self._xx - self._x * self._x / self._weight
        joint = self._xy - self._x * self._y / self._weight
        return max(0.0, (joint + 128 * FIRST_ROW_PRICE * mean) / (spread + 128))


class Acceptance:
    """How often the ids of a source come true where all before them did."""

    def __init__(self, prior: Acceptance | None = None) -> None:
        self._prior = prior
        self._counts: dict[str, tuple[float, float]] = {}

    def rate(self, source: str) -> float:
        belief = self._prior.rate(source) if self._prior else FIRST_BELIEFS.get(source, 0.5)
        tried, came = self._counts.get(source, (0.0, 0.0))
        return (came + belief * PRIOR_WEIGHT) / (tried + PRIOR_WEIGHT)

    def observe(self, source: str, came: bool) -> None:
        tried, right = self._counts.get(source, (0.0, 0.0))
        self._counts[source] = (tried * FADE + 1, right * FADE + came)
        if self._prior:
            self._prior.observe(source, came)


class Ledger:
    """What one request may still waste, in plain steps. It begins with enough for one row."""

    def __init__(self) -> None:
        self.credit: float | None = None

    def rows(self, chances: list[float], price: float) -> int:
        """How many of the hinted ids are tried. `chances`: that an id and all before it come true."""
        if self.credit is None:
            self.credit = price * 1.01
        affordable = int(self.credit / price) if self.credit > 0 else 0
        best, most, tokens, cost = 0, 1.0, 1.0, 1.0
        for count, chance in enumerate(chances[:affordable], 1):
            tokens += chance
            cost += price
            if tokens / cost > most:
                best, most = count, tokens / cost
        return best

    def settle(self, rows: int, accepted: int, price: float) -> None:
        if self.credit is not None:
            self.credit += accepted + WASTE_SHARE - rows * price

    def pay(self, steps: float) -> None:
        if self.credit is not None:
            self.credit -= steps
