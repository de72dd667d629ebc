"""vLLM's scheduler with hints: at every step each request has the hinted ids that continue its text, and that pay.

Hints are bound as late as possible, when a step is planned. Whoever owns the engine gives them in (`hint`) between two
steps and takes out what came of them (`take_reports`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outrider_vllm.costs import StepCosts
from outrider_vllm.hints import Hint
from outrider_vllm.incoming import EarlyHints, known_hint
from outrider_vllm.private import DraftTokenIds, Request, Scheduler, is_ready_for_drafts
from outrider_vllm.settings import stream_of
from outrider_vllm.step import Step, planned_step
from outrider_vllm.track import Experience, Report, Track
from outrider_vllm.waiting import Ready, Waiting
from outrider_vllm.worth import plan_rows

# What a hint row adds to a plain step, believed until it was measured (calibration.py).
FIRST_ROW_PRICE = 0.1


class HintScheduler(Scheduler):
    """For `scheduler_cls`. A request of ours has `extra_args["outrider"]["stream"]`, an integer of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.costs = StepCosts.of_price(FIRST_ROW_PRICE)
        self.experience = Experience()
        self.wanted_rows: int | None = None
        """While costs are measured: so many hint rows of each request, whether they pay or not."""
        self.on_admitted: Callable[[int, int], None] = lambda stream, cached: None
        self.step = Step()
        """The one that runs, or the last."""
        self._tracks: dict[int, Track] = {}
        self._running: dict[int, Request] = {}
        self._early = EarlyHints()
        self._waiting = Waiting()
        self._vocabulary = self.vllm_config.model_config.get_vocab_size()
        self._reports: dict[int, Report] = {}

    def track(self, stream: int, has_drafts: bool) -> None:
        """Before the request is added."""
        self._tracks[stream] = Track(self.experience, has_drafts)

    def forget(self, stream: int) -> None:
        self._tracks.pop(stream, None)
        self._running.pop(stream, None)
        self._early.take(stream)

    def steps_of(self, stream: int) -> int:
        track = self._tracks.get(stream)
        return track.steps if track else 0

    def hint(self, stream: int, hint: Hint, at: float) -> None:
        """It came in at `at`, milliseconds. Dropped where the stream is unknown or wants none."""
        track = self._tracks.get(stream)
        known = known_hint(hint, self._vocabulary)
        if track is None or not track.has_drafts or known is None:
            return
        request = self._running.get(stream)
        if request is None:
            self._early.add(stream, known)
        else:
            track.hint(known, request.all_token_ids, at, self._waiting.is_on)

    def take_reports(self) -> dict[int, Report]:
        reports, self._reports = self._reports, {}
        return reports

    def wait_ms(self, now: float) -> float:
        """How long the next step is better held back for hints, unless something comes sooner."""
        is_possible = not self.waiting and all(is_ready_for_drafts(request) for request in self.running)
        return self._waiting.settle(self._ready() if is_possible else [], self.costs, now)

    def stepped(self, ms: float) -> None:
        """The step took so long."""
        requests, hint_rows = self.step.extent.requests, self.step.extent.hint_rows
        if self.step.is_decoding:
            self.costs.observe(requests, hint_rows, ms)
        for track in self.step.prefilling:
            track.prefilled(ms / requests)

    def settled(self, now: float) -> None:
        """The tokens of a step went out at `now`."""
        for request in self.running:
            track = self._track_of(request)
            if track and track.has_drafts:
                track.committed(request.num_tokens, now)

    def update_draft_token_ids(self, draft_token_ids: DraftTokenIds) -> None:
        """What a proposer proposes: nothing. Hints are bound in `schedule`."""

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        self._bind_hints()
        output = super().schedule(*args, **kwargs)
        for new in output.scheduled_new_reqs:
            self._admit(self.requests[new.req_id], new.num_computed_tokens)
        if self.parallel_config.pipeline_parallel_size > 1:  # see pipeline.py
            cached = output.scheduled_cached_reqs
            for request_id in cached.req_ids:
                cached.all_token_ids.setdefault(request_id, list(self.requests[request_id].all_token_ids))
        self.step = planned_step(output, lambda request_id: self._track_of(self.requests[request_id]))
        return output

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        ran = [
            (stream, self._tracks[stream], request, request.num_tokens)
            for request_id in scheduler_output.num_scheduled_tokens
            if (request := self.requests.get(request_id)) and (stream := stream_of(request)) in self._tracks
        ]
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for stream, track, request, length in ran:
            ids = request.all_token_ids[length:]
            if ids:
                self._reports[stream] = track.settle(length, ids, self.costs)
        return outputs

    def _bind_hints(self) -> None:
        ready = self._ready()
        requests = max(1, len(ready))
        row_ms = self.costs.rows_ms(requests, 1)
        offers = [one.track.offer(one.end, one.most, row_ms) for one in ready]
        rows = plan_rows(offers, requests, self.costs)
        if self.wanted_rows is not None:
            rows = [self.wanted_rows] * len(ready)
        drafts = [one.track.foretold(count) for one, count in zip(ready, rows, strict=True)]
        super().update_draft_token_ids(DraftTokenIds([one.request_id for one in ready], drafts))

    def _ready(self) -> list[Ready]:
        return [
            Ready(request.request_id, track, request.num_tokens, self._room(request))
            for request in self.running
            if (track := self._track_of(request)) and is_ready_for_drafts(request)
        ]

    def _room(self, request: Request) -> int:
        """How many hint rows the request's end and vLLM's limit allow."""
        end = min(request.num_prompt_tokens + request.max_tokens, self.max_model_len)
        return max(0, min(self.num_spec_tokens, end - request.num_tokens - 1))

    def _admit(self, request: Request, cached: int) -> None:
        stream = stream_of(request)
        if stream is None or stream not in self._tracks:
            return
        self._running[stream] = request
        for hint in self._early.take(stream):
            self._tracks[stream].hint(hint, request.all_token_ids, 0.0, is_waited=False)
        self.on_admitted(stream, cached)

    def _track_of(self, request: Request) -> Track | None:
        return self._tracks.get(stream_of(request) or -1)
