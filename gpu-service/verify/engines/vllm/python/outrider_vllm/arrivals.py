"""How long hints take to arrive, learnt for one request: what it would mean to wait for them.

As `gpu-service/verify/scheduler/arrivals.ts`. Times run from the moment a token went out to the moment a hint came in,
both by this process's clock, milliseconds: they hold the round trip, the drafting and whatever else lies between.
Whether the engine waits or not, every answer tells how long it took.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from outrider_vllm.answers import GAIN, LATE_GAIN, Answer, Awaited

# Ends of the text whose time is remembered: an answer to an older one says nothing of a wait that could pay.
REMEMBERED_ENDS = 64


@dataclass(frozen=True)
class Dry:
    """Since `at`, when the text ended before position `end`, nothing leads on from it; `anew`: all has to be drafted
    anew."""

    at: float
    end: int
    anew: bool


@dataclass(frozen=True)
class Frame:
    """A hint of `path` that speaks of positions from `start` on came in. With it `have` ids lead on from the text's
    end, `gained` of them by it. `refused_at`: where the text had left what it says before it came; None if it had not.
    """

    path: int
    start: int
    have: int
    gained: int
    is_waited: bool
    refused_at: int | None = None


class Arrivals:
    """`prior`: what is known of all requests together; observations are passed on to it."""

    def __init__(self, prior: Arrivals | None = None) -> None:
        # Answers to a refusal, answers where hints were used up, and each further hint on the same path.
        self._anew = Answer(prior and prior._anew)
        self._onward = Answer(prior and prior._onward)
        self._further = Answer(prior and prior._further)
        # The text's ends after its latest steps, oldest first, and when it became that long.
        self._ended_at: dict[int, float] = {}
        self._dry: Dry | None = None
        self._path = -1
        self._newest_at = 0.0

    def committed(self, end: int, at: float, have: bool, anew: bool) -> None:
        """The text ends before position `end` since `at`; `have`: whether a hint leads on."""
        self._ended_at[end] = at
        if len(self._ended_at) > REMEMBERED_ENDS:
            del self._ended_at[next(iter(self._ended_at))]
        if have:
            self._dry = None
        elif self._dry is None or (anew and not self._dry.anew):
            self._dry = Dry(at, end, anew)

    def hinted(self, frame: Frame, at: float) -> None:
        dry, is_new_path = self._dry, frame.path > self._path
        self._path = frame.path
        # What came while a step ran was there when it ended: nobody had to wait for it.
        if dry and at >= dry.at:
            since = self._ended_at.get(frame.start) if is_new_path and dry.anew else None
            if since is not None:
                self._anew.came(at - since, max(1, frame.have), frame.is_waited)
            elif not is_new_path and not dry.anew and frame.have > 0:
                self._onward.came(at - dry.at, frame.have, frame.is_waited)
        elif not dry and not is_new_path and frame.gained > 0:
            gap = at - self._newest_at
            self._further.came(gap, frame.gained, frame.is_waited, LATE_GAIN if gap > self._further.ms else GAIN)
        if frame.gained > 0:
            self._newest_at = at
        if frame.have > 0:
            self._dry = None
        elif frame.refused_at is not None:
            self._dry = self._refused(frame.refused_at) or (dry and replace(dry, anew=True))

    def missed(self, have: int) -> None:
        """A wait for more than `have` ids ended without them."""
        (self._further if have > 0 else self._first()).missed()

    def awaited(self, have: int, end: int, now: float) -> Awaited | None:
        """What is to be expected where the text ends before `end` and `have` ids lead on; None if nothing."""
        answer, since = self._further, self._newest_at
        if have == 0:
            if not self._dry:
                return None
            answer, since = self._first(), self._dry.at
        give_up_ms = answer.give_up_ms - (now - since)
        if not answer.is_known or give_up_ms <= 0:
            return None
        per_hint = self._further if self._further.is_known else answer
        return Awaited(
            first_ms=max(0.0, answer.ms - (now - since)),
            there=have + answer.ids,
            step_ids=per_hint.ids,
            step_ms=per_hint.ms,
            give_up_ms=give_up_ms,
            chance=answer.chance,
            overtaken=end - self._dry.end if have == 0 and self._dry else 0,
        )

    def _first(self) -> Answer:
        return self._anew if self._dry and self._dry.anew else self._onward

    def _refused(self, position: int) -> Dry | None:
        """The edge learns with the step that said otherwise at `position` that it has to draft anew."""
        return next((Dry(at, end, True) for end, at in self._ended_at.items() if end > position), None)
