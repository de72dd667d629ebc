"""What steps cost by their hint rows: measured points, and what later steps teach."""

import random

import pytest

from outrider_vllm.costs import StepCosts


def test_between_points_it_is_linear_and_beyond_them_too() -> None:
    costs = StepCosts([(0, 20.0), (1, 22.0), (6, 27.0)])
    assert [costs.ms(1, rows) for rows in (0, 1, 3, 6, 8)] == pytest.approx([20, 22, 24, 27, 29])
    assert costs.rows_ms(1, 6) == pytest.approx(7)


def test_more_rows_never_cost_less() -> None:
    costs = StepCosts([(0, 21.0), (1, 20.0), (6, 24.0)])
    assert costs.rows_ms(1, 1) == 0


def test_a_price_is_learnt_through_noise() -> None:
    costs, rng = StepCosts([(0, 20.0), (8, 20.1)]), random.Random(4)
    for _ in range(2000):
        rows = rng.choice([0, 8])
        costs.observe(1, rows, (20 + 2 * rows) * rng.uniform(0.9, 1.1))
    assert costs.rows_ms(1, 8) / costs.ms(1, 0) == pytest.approx(0.8, rel=0.2)


def test_a_slow_machine_changes_the_pace_and_not_the_price() -> None:
    costs = StepCosts([(0, 20.0), (8, 24.0)])
    for n in range(100):
        costs.observe(1, 8 * (n % 2), 2 * (24.0 if n % 2 else 20.0))
    assert costs.ms(1, 0) == pytest.approx(40, rel=0.02)
    assert costs.rows_ms(1, 8) == pytest.approx(8, rel=0.05)


def test_each_number_of_requests_has_its_own_pace() -> None:
    costs = StepCosts([(0, 20.0), (8, 24.0)])
    costs.observe(1, 0, 20.0)
    costs.observe(4, 0, 30.0)
    assert costs.ms(1, 0) == pytest.approx(20, rel=0.01)
    assert costs.ms(5, 0) == pytest.approx(30, rel=0.01)


def test_a_price_that_is_given_is_not_measured() -> None:
    costs = StepCosts.of_price(0.05)
    for _ in range(50):
        costs.observe(1, 0, 10.0)
        costs.observe(1, 8, 100.0)
    assert costs.rows_ms(1, 1) / costs.ms(1, 0) == pytest.approx(0.05)


def test_points_have_to_begin_with_a_plain_step() -> None:
    with pytest.raises(ValueError, match="without hint rows"):
        StepCosts([(1, 20.0), (8, 24.0)])
