"""What runs in one step of vLLM, as its scheduler's output says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from outrider_vllm.track import NOTHING, Extent, Track


@dataclass
class Step:
    extent: Extent = NOTHING
    rows: int = 0
    """All of them, those of prompts and hint rows too."""
    prefilling: list[Track] = field(default_factory=list)
    """Requests of ours of which it runs the prompt."""

    @property
    def is_decoding(self) -> bool:
        """Whether it has no prompt's ids in it: only such steps tell what a step costs."""
        return 0 < self.rows == self.extent.requests + self.extent.hint_rows


def planned_step(output: Any, track_of: Callable[[str], Track | None]) -> Step:
    """Each request of ours is told its part."""
    drafted = output.scheduled_spec_decode_tokens
    extent = Extent(len(output.num_scheduled_tokens), sum(len(ids) for ids in drafted.values()))
    step = Step(extent, output.total_num_scheduled_tokens)
    for request_id, rows in output.num_scheduled_tokens.items():
        track = track_of(request_id)
        if track is None:
            continue
        track.steps += 1
        track.rows, track.extent = len(drafted.get(request_id, ())), extent
        if rows > 1 + track.rows:
            step.prefilling.append(track)
    return step
