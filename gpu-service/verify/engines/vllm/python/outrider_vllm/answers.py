"""One kind of answer to a step's tokens: how long hints take, and what a wait for them means. Times in milliseconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Weight of the newest observation.
GAIN = 0.25
# A hint on the same path that took longer than usual may have waited for tokens: it says little of the drafting.
LATE_GAIN = 0.05
# An answer is given up when it is later than expected by so many spreads, and so many milliseconds.
SPREADS = 2
SLACK_MS = 0.5
# An answer that comes while a step runs may have to share the machine with it. Waited for, it is quicker by this share
# of its time, and by no more milliseconds than this: what a wait shows counts from then on.
HASTE_SHARE = 0.4
MOST_HASTE_MS = 1.5


class Answer:
    """What is known of one kind of answer: how long it takes, how many ids it brings, how often it comes in time.

    `prior`: what is known of all requests together, which a new one believes at first; it learns from each of them.
    """

    def __init__(self, prior: Answer | None = None) -> None:
        self._prior = prior
        self.ms = 0.0
        self.ids = 1.0
        self.chance = 0.8
        self.is_known = False
        self._spread = 0.0
        self._is_tried = False
        if prior and prior.is_known:
            self.ms, self.ids, self.chance, self._spread = prior.ms, prior.ids, prior.chance, prior._spread
            self.is_known, self._is_tried = True, prior._is_tried

    @property
    def give_up_ms(self) -> float:
        return self.ms + SPREADS * self._spread + SLACK_MS

    def came(self, time: float, ids: float, is_waited: bool, most: float = GAIN) -> None:
        if self._prior:
            self._prior.came(time, ids, is_waited, most)
        ms = time if is_waited else time - min(HASTE_SHARE * time, MOST_HASTE_MS)
        gain = most if is_waited or not self._is_tried else LATE_GAIN
        self._is_tried = self._is_tried or is_waited
        if not self.is_known:
            self.is_known = True
            self.ms, self._spread, self.ids = ms, ms / 4, ids
            return
        self.chance += GAIN * ((1 if ms <= self.give_up_ms else 0) - self.chance)
        # One answer that was held up says little of the next.
        usual = min(ms, self.give_up_ms + 2 * self._spread + 1)
        self._spread += gain * (abs(usual - self.ms) - self._spread)
        self.ms += gain * (usual - self.ms)
        self.ids += GAIN * (ids - self.ids)

    def missed(self) -> None:
        if self._prior:
            self._prior.missed()
        self.chance -= GAIN * self.chance


@dataclass(frozen=True)
class Awaited:
    """Hints that are on their way. Times in milliseconds from now."""

    first_ms: float
    there: float
    """Ids that are there when the first has come; further ones come `step_ids` at a time, each `step_ms` later."""
    step_ids: float
    step_ms: float
    give_up_ms: float
    """After which they are not waited for any longer."""
    chance: float
    """That they come before that."""
    overtaken: int
    """Ids that were confirmed since and have to agree."""

    def ms_until(self, count: int) -> float:
        """Until `count` ids are there, more than there are now."""
        return self.first_ms + max(0, math.ceil((count - self.there) / self.step_ids)) * self.step_ms
