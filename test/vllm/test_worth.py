"""How many hint rows are tried, and what wrong ones may waste."""

import pytest

from outrider_vllm.costs import StepCosts
from outrider_vllm.hints import Hint
from outrider_vllm.track import Experience, Extent, Track
from outrider_vllm.worth import WASTE_SHARE, Offer, plan_rows

STEP_MS = 20.0


def costs_of(price: float) -> StepCosts:
    costs = StepCosts.of_price(price)
    costs.observe(1, 0, STEP_MS)
    return costs


class Run:
    """One text, hinted with so many ids before each step, all right or all wrong."""

    def __init__(self, price: float, most: int, is_right: bool) -> None:
        self.costs, self.most, self.is_right = costs_of(price), most, is_right
        self.track, self.text, self.steps = Track(Experience(), has_drafts=True), [7], 0
        self.spent_ms = 0.0

    def step(self) -> None:
        end = len(self.text)
        ids = (1,) * 24 if self.is_right else (2,) * 24
        self.track.hint(Hint(self.steps, end, ids, "model"), self.text, self.steps * STEP_MS, is_waited=False)
        offer = self.track.offer(end, self.most, self.costs.rows_ms(1, 1))
        rows = plan_rows([offer], 1, self.costs)[0]
        self.track.rows, self.track.extent = rows, Extent(1, rows)
        added = [1] * (1 + (rows if self.is_right else 0))
        report = self.track.settle(end, added, self.costs)
        assert report.accepted == len(added) - 1
        self.text += added
        self.spent_ms += self.costs.rows_ms(1, rows)
        self.steps += 1


@pytest.mark.parametrize("price", [0.01, 0.1, 0.5])
def test_wrong_hints_waste_no_more_than_their_share(price: float) -> None:
    run = Run(price, 16, is_right=False)
    for _ in range(1000):
        run.step()
    assert run.spent_ms <= 1000 * STEP_MS * WASTE_SHARE + 1.01 * price * STEP_MS
    assert run.spent_ms > 0


@pytest.mark.parametrize("price", [0.002, 0.05, 0.1])
def test_right_hints_of_six_ids_save_four_of_five_steps(price: float) -> None:
    run = Run(price, 6, is_right=True)
    while len(run.text) - 1 < 128:
        run.step()
    assert run.steps * 5 <= 128


def test_a_long_prompt_is_plain_time_too() -> None:
    credits = []
    for prefill_ms in (0.0, 1000.0):
        track = Track(Experience(), has_drafts=True)
        track.prefilled(prefill_ms)
        credits.append(track.offer(1, 6, 2.0).credit)
    assert credits[1] - credits[0] == pytest.approx(1000 * WASTE_SHARE)


def test_a_new_request_begins_with_what_others_have_shown() -> None:
    experience = Experience()
    for came in [False] * 40:
        experience.acceptance.observe("lookup", 0, came)
    track = Track(experience, has_drafts=True)
    track.hint(Hint(0, 1, (5,), "lookup"), [7], 0.0, is_waited=False)
    assert track.offer(1, 6, 2.0).chances[0] < 0.1


@pytest.mark.parametrize(
    ("chances", "credits", "requests", "expected"),
    [
        # Cheap rows: as many as are likely.
        ([[0.9, 0.8, 0.7, 0.02]], [100], 1, [3]),
        # No credit, no rows.
        ([[0.9, 0.8]], [0], 1, [0]),
        # Credit for one.
        ([[0.9, 0.8]], [1.5], 1, [1]),
        # Likeliest first, and a row is worth less where many share the step.
        ([[0.9, 0.1], [0.8, 0.7]], [100, 100], 2, [1, 2]),
        ([[0.9], [0.3]], [100, 100], 16, [1, 0]),
    ],
)
def test_rows_that_raise_tokens_per_millisecond(
    chances: list[list[float]], credits: list[float], requests: int, expected: list[int]
) -> None:
    costs = costs_of(0.05)
    costs.observe(requests, 0, STEP_MS)
    offers = [Offer(chance, credit) for chance, credit in zip(chances, credits, strict=True)]
    assert plan_rows(offers, requests, costs) == expected
