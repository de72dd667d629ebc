"""Holds the next step back for hints where that is worth it, and has those pay who were waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outrider_vllm.costs import StepCosts
from outrider_vllm.hold import worthwhile_hold
from outrider_vllm.track import Track


@dataclass(frozen=True)
class Ready:
    """A request before a step: its text ends before position `end`, and `most` hint rows may follow."""

    request_id: str
    track: Track
    end: int
    most: int


@dataclass(frozen=True)
class _Waiter:
    ready: Ready
    have: int
    give_up_at: float


class Waiting:
    """Times in milliseconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._since = 0.0
        self._waiters: list[_Waiter] = []

    @property
    def is_on(self) -> bool:
        return bool(self._waiters)

    def settle(self, requests: Sequence[Ready], costs: StepCosts, now: float) -> float:
        """Pays for the wait so far, and says how long to wait on unless something arrives; 0: the step starts."""
        for waiter in self._waiters:
            is_vain = now >= waiter.give_up_at and waiter.ready.track.hints_at_hand(waiter.ready.end) <= waiter.have
            waiter.ready.track.waited((now - self._since) / len(self._waiters), is_vain, waiter.have)
        self._since, self._waiters = now, []
        prospects = [ready.track.prospect(ready.end, ready.most, now) for ready in requests]
        hold = worthwhile_hold(prospects, costs)
        if hold is None:
            return 0.0
        self._waiters = [
            _Waiter(requests[index], prospects[index].have, now + give_up_ms) for index, give_up_ms in hold.waiters
        ]
        return hold.ms
