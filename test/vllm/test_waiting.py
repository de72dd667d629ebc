"""When a step is held back for hints, and who pays for it."""

import pytest

from outrider_vllm.arrivals import Arrivals, Frame
from outrider_vllm.costs import StepCosts
from outrider_vllm.hints import Hint
from outrider_vllm.hold import Prospect, worthwhile_hold
from outrider_vllm.track import Experience, Extent, Track
from outrider_vllm.waiting import Ready, Waiting

STEP_MS = 20.0
LIKELY = [0.8] * 6


def costs() -> StepCosts:
    table = StepCosts.of_price(0.02)
    table.observe(1, 0, STEP_MS)
    return table


def answered(ms: float, times: int = 10) -> tuple[Arrivals, float]:
    """A refusal every 100 ms, answered with four ids `ms` later while the engine waited; then one more refusal."""
    arrivals = Arrivals()
    for path in range(times):
        arrivals.committed(10, path * 100.0, have=False, anew=True)
        arrivals.hinted(Frame(path, 10, have=4, gained=4, is_waited=True), path * 100 + ms)
    arrivals.committed(10, times * 100.0, have=False, anew=True)
    return arrivals, times * 100.0


def test_nothing_is_awaited_before_the_first_answer() -> None:
    arrivals, now = answered(5, times=0)
    assert arrivals.awaited(0, 10, now) is None


def test_what_is_awaited_is_what_was_learnt() -> None:
    arrivals, now = answered(8)
    awaited = arrivals.awaited(0, 10, now + 1)
    assert awaited is not None
    assert awaited.ms_until(4) == pytest.approx(7)
    assert arrivals.awaited(0, 10, now + 30) is None


def test_what_came_while_a_step_ran_is_thought_to_be_quicker_when_waited_for() -> None:
    arrivals = Arrivals()
    for path in range(3):
        arrivals.committed(10, path * 100.0, have=False, anew=True)
        arrivals.hinted(Frame(path, 10, have=4, gained=4, is_waited=False), path * 100 + 8.0)
    arrivals.committed(10, 300.0, have=False, anew=True)
    assert arrivals.awaited(0, 10, 300.0).ms_until(1) == pytest.approx(6.5)


def test_waits_in_vain_make_the_next_unlikely() -> None:
    arrivals, now = answered(8)
    before = arrivals.awaited(0, 10, now).chance
    for _ in range(5):
        arrivals.missed(0)
    assert arrivals.awaited(0, 10, now).chance < before / 3


def test_a_new_request_expects_what_others_have_shown() -> None:
    known, _ = answered(8)
    arrivals = Arrivals(known)
    arrivals.committed(10, 0.0, have=False, anew=True)
    assert arrivals.awaited(0, 10, 0.0) is None or arrivals.awaited(0, 10, 0.0).ms_until(4) == pytest.approx(8)


@pytest.mark.parametrize(("ms", "waits"), [(2, True), (60, False)])
def test_it_waits_for_what_comes_soon(ms: float, waits: bool) -> None:
    arrivals, now = answered(ms)
    hold = worthwhile_hold([Prospect(0, LIKELY, arrivals.awaited(0, 10, now), credit=100.0)], costs())
    assert (hold is not None and hold.ms >= ms) if waits else hold is None


def test_others_with_much_to_do_are_not_held_up() -> None:
    arrivals, now = answered(5)
    waiting = Prospect(0, LIKELY, arrivals.awaited(0, 10, now), credit=100.0)
    busy = Prospect(6, [0.95] * 6, None, credit=100.0)
    assert worthwhile_hold([waiting], costs()) is not None
    assert worthwhile_hold([waiting, busy, busy, busy, busy], costs()) is None


def test_what_it_cannot_pay_for_is_not_waited_for() -> None:
    arrivals, now = answered(2)
    assert worthwhile_hold([Prospect(0, LIKELY, arrivals.awaited(0, 10, now), credit=1.0)], costs()) is None


def test_a_request_pays_for_its_wait_and_does_not_repeat_one_in_vain() -> None:
    waiting, text = Waiting(), [1, 2, 3]
    track = Track(Experience(), has_drafts=True)
    ready = Ready("a", track, len(text), 6)
    track.offer(len(text), 6, 2.0)
    track.credit = 100.0
    for path in range(4):
        track.committed(len(text), path * 100.0)
        track.hint(Hint(path, len(text), (5, 6), "model"), text, path * 100.0 + 2, is_waited=True)
        track.extent = Extent(1, 0)
        track.settle(len(text), [9], costs())
        text.append(9)
        ready = Ready("a", track, len(text), 6)
    track.committed(len(text), 400.0)
    before = track.credit
    ms = waiting.settle([ready], costs(), 400.0)
    assert ms > 2
    assert waiting.is_on
    assert waiting.settle([ready], costs(), 400.0 + ms) == 0
    assert track.credit == pytest.approx(before - ms)
    assert not waiting.is_on
