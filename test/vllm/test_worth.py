"""How many hint rows are tried, what wrong ones may waste, and when a step is held back."""

import random

import pytest

from outrider_vllm.arrivals import Arrivals, Prospect, worthwhile_wait
from outrider_vllm.worth import WASTE_SHARE, Acceptance, Ledger, StepCosts


@pytest.mark.parametrize("price", [0.01, 0.1, 0.6])
def test_wrong_hints_waste_no_more_than_their_share(price: float) -> None:
    ledger, acceptance, spent = Ledger(), Acceptance(), 0.0
    for _ in range(1000):
        rate = acceptance.rate("model")
        rows = ledger.rows([rate ** (n + 1) for n in range(16)], price)
        ledger.settle(rows, 0, price)
        acceptance.observe("model", False)
        spent += rows * price
    assert spent <= 1000 * WASTE_SHARE + price * 1.01


def test_right_hints_soon_have_long_blocks() -> None:
    ledger, acceptance, tokens, steps = Ledger(), Acceptance(), 0, 0
    while tokens < 128:
        rows = ledger.rows([acceptance.rate("model") ** (n + 1) for n in range(6)], 0.1)
        ledger.settle(rows, rows, 0.1)
        for _ in range(6):
            acceptance.observe("model", True)
        tokens += rows + 1
        steps += 1
    assert steps * 5 <= 128


def test_a_rows_price_is_learnt_through_noise() -> None:
    costs, rng = StepCosts(), random.Random(4)
    for _ in range(300):
        rows = rng.randrange(9)
        costs.observe(rows, (20 + 4 * rows) * rng.uniform(0.9, 1.1))
    assert costs.row_price == pytest.approx(0.2, rel=0.2)
    assert costs.plain_ms == pytest.approx(20, rel=0.1)


def test_a_price_that_is_given_is_not_measured() -> None:
    costs = StepCosts(0.05)
    costs.observe(0, 10)
    costs.observe(8, 100)
    assert costs.row_price == 0.05


def arrivals_after(ms: float) -> tuple[Arrivals, float]:
    """Hints that have come `ms` after each of ten steps, which took 20 ms."""
    arrivals, now = Arrivals(), 0.0
    for _ in range(10):
        arrivals.stepped(now, 0)
        arrivals.hinted(now + ms, 0, 4)
        now += ms + 20
    arrivals.stepped(now, 0)
    return arrivals, now


@pytest.mark.parametrize(("ms", "waits"), [(2, True), (60, False)])
def test_it_waits_for_what_comes_soon(ms: float, waits: bool) -> None:
    arrivals, now = arrivals_after(ms)
    prospect = Prospect(tokens=1.0, awaited=arrivals.awaited(now, 0), gain=0.8, credit_ms=100.0)
    wait = worthwhile_wait([prospect], plain_ms=20.0)
    assert (wait >= ms) if waits else (wait == 0)


def test_others_with_much_to_do_are_not_held_up() -> None:
    arrivals, now = arrivals_after(5)
    waiting = Prospect(tokens=1.0, awaited=arrivals.awaited(now, 0), gain=0.8, credit_ms=100.0)
    assert worthwhile_wait([waiting], plain_ms=20.0) > 0
    assert worthwhile_wait([waiting, *[Prospect(tokens=4.0)] * 4], plain_ms=20.0) == 0


def test_what_it_cannot_pay_for_is_not_waited_for() -> None:
    arrivals, now = arrivals_after(2)
    prospect = Prospect(tokens=1.0, awaited=arrivals.awaited(now, 0), gain=0.8, credit_ms=1.0)
    assert worthwhile_wait([prospect], plain_ms=20.0) == 0


def test_a_wait_in_vain_is_not_repeated_before_the_next_step() -> None:
    arrivals, now = arrivals_after(2)
    arrivals.missed()
    assert arrivals.awaited(now, 0) is None
    arrivals.stepped(now + 20, 0)
    assert arrivals.awaited(now + 20, 0) is None
