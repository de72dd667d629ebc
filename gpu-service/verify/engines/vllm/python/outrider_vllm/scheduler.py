"""vLLM's scheduler with hints: at every step each request has the hinted ids that continue its text, and that pay.

Hints are bound as late as possible, when a step is planned. Whoever owns the engine gives them in (`hint`) between two
steps and takes out what came of them (`take_reports`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from outrider_vllm.arrivals import Arrivals, Prospect, worthwhile_wait
from outrider_vllm.hints import Hint, HintStore
from outrider_vllm.private import DraftTokenIds, Request, Scheduler, is_ready_for_drafts
from outrider_vllm.settings import KEY
from outrider_vllm.worth import Acceptance, Ledger, StepCosts


@dataclass(frozen=True)
class Report:
    """What a step brought one request. `drafted`: the source of each hint row that ran."""

    ids: tuple[int, ...]
    drafted: tuple[str, ...]
    accepted: int


@dataclass
class Track:
    """A request of ours, from its start to its end."""

    acceptance: Acceptance
    has_drafts: bool
    hints: HintStore = field(default_factory=HintStore)
    arrivals: Arrivals = field(default_factory=Arrivals)
    ledger: Ledger = field(default_factory=Ledger)
    early: list[Hint] = field(default_factory=list)
    """Hints that came before vLLM had taken the request in."""
    foretold: list[tuple[int, str]] = field(default_factory=list)
    rows: int = 0
    steps: int = 0
    source: str = "model"


MAX_EARLY_HINTS = 16


class HintScheduler(Scheduler):
    """For `scheduler_cls`. A request of ours has `extra_args["outrider"]["stream"]`, an integer of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.costs = StepCosts()
        self.on_admitted: Callable[[int, int], None] = lambda stream, cached: None
        self.rows = self.hint_rows = 0
        self.is_decoding = False
        self._prior = Acceptance()
        self._tracks: dict[int, Track] = {}
        self._requests: dict[int, Request] = {}
        self._reports: dict[int, Report] = {}
        self._vocabulary = self.vllm_config.model_config.get_vocab_size()

    def track(self, stream: int, has_drafts: bool) -> None:
        """Before the request is added."""
        self._tracks[stream] = Track(Acceptance(self._prior), has_drafts)

    def forget(self, stream: int) -> None:
        self._tracks.pop(stream, None)
        self._requests.pop(stream, None)

    def steps_of(self, stream: int) -> int:
        track = self._tracks.get(stream)
        return track.steps if track else 0

    def hint(self, stream: int, hint: Hint, now: float) -> None:
        """Unknown streams, and ids beyond the vocabulary (they would end the process), are dropped."""
        track = self._tracks.get(stream)
        if track is None or not track.has_drafts:
            return
        known = self._known(hint)
        if known is None:
            return
        request = self._requests.get(stream)
        if request is None:
            track.early = [*track.early, known][-MAX_EARLY_HINTS:]
            return
        had = len(track.hints.next(request.num_tokens, 1))
        more = len(track.hints.next(request.num_tokens, self.num_spec_tokens)) if had else 0
        track.hints.add(known, request.all_token_ids)
        track.source = known.source
        track.arrivals.hinted(now, more, len(track.hints.next(request.num_tokens, self.num_spec_tokens)))

    def take_reports(self) -> dict[int, Report]:
        reports, self._reports = self._reports, {}
        return reports

    def wait_ms(self, now: float) -> float:
        """How long the next step is better held back for hints, unless one comes sooner."""
        plain = self.costs.plain_ms
        if plain is None or self.waiting or not self.running:
            return 0.0
        prospects = []
        for request in self.running:
            track = self._tracks.get(self._stream_of(request) or -1)
            if not is_ready_for_drafts(request):
                return 0.0
            prospects.append(self._prospect(request, track, plain, now) if track else Prospect(1.0))
        return worthwhile_wait(prospects, plain)

    def waited(self, ms: float, is_vain: bool, began: float) -> None:
        """The step was held back for `ms`, from `began` on; those who were waited for share what it cost."""
        plain = self.costs.plain_ms or ms
        waiters = [
            track
            for request in self.running
            if (track := self._tracks.get(self._stream_of(request) or -1))
            and (is_vain is False or track.arrivals.awaited(began, len(self._foretold(request, track))))
        ]
        for track in waiters:
            track.ledger.pay(ms / plain / len(waiters))
            if is_vain:
                track.arrivals.missed()

    def update_draft_token_ids(self, draft_token_ids: DraftTokenIds) -> None:
        """What a proposer proposes: nothing. Hints are bound in `schedule`."""

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        self._bind_hints()
        output = super().schedule(*args, **kwargs)
        for new in output.scheduled_new_reqs:
            self._admit(new.req_id, new.num_computed_tokens)
        if self.parallel_config.pipeline_parallel_size > 1:  # see pipeline.py
            cached = output.scheduled_cached_reqs
            for request_id in cached.req_ids:
                cached.all_token_ids.setdefault(request_id, list(self.requests[request_id].all_token_ids))
        drafted = output.scheduled_spec_decode_tokens
        self.hint_rows = sum(len(ids) for ids in drafted.values())
        self.rows = output.total_num_scheduled_tokens
        self.is_decoding = 0 < self.rows == len(output.num_scheduled_tokens) + self.hint_rows
        for request_id in output.num_scheduled_tokens:
            track = self._tracks.get(self._stream_of(self.requests[request_id]) or -1)
            if track:
                track.steps += 1
                track.rows = len(drafted.get(request_id, ()))
        return output

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        ran = [
            (stream, request, request.num_tokens)
            for request_id in scheduler_output.num_scheduled_tokens
            if (request := self.requests.get(request_id)) and (stream := self._stream_of(request)) in self._tracks
        ]
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for stream, request, length in ran:
            self._settle(stream, self._tracks[stream], length, request.all_token_ids[length:])
        return outputs

    def settled(self, now: float) -> None:
        """The tokens of a step went out at `now`."""
        for request in self.running:
            track = self._tracks.get(self._stream_of(request) or -1)
            if track and track.has_drafts:
                track.arrivals.stepped(now, len(self._foretold(request, track)))

    def _bind_hints(self) -> None:
        ids, drafts = [], []
        for request in self.running:
            track = self._tracks.get(self._stream_of(request) or -1)
            if not track or not is_ready_for_drafts(request):
                continue
            track.foretold = self._foretold(request, track)
            rows = track.ledger.rows(self._chances(track, track.foretold), self.costs.row_price)
            ids.append(request.request_id)
            drafts.append([token for token, _ in track.foretold[:rows]])
        super().update_draft_token_ids(DraftTokenIds(ids, drafts))

    def _foretold(self, request: Request, track: Track) -> list[tuple[int, str]]:
        """As far as the request's end and vLLM's limit allow."""
        end = min(request.num_prompt_tokens + request.max_tokens, self.max_model_len)
        room = min(self.num_spec_tokens, end - request.num_tokens - 1)
        return track.hints.next(request.num_tokens, room) if room > 0 else []

    def _chances(self, track: Track, foretold: list[tuple[int, str]]) -> list[float]:
        chance, chances = 1.0, []
        for _, source in foretold:
            chance *= track.acceptance.rate(source)
            chances.append(chance)
        return chances

    def _prospect(self, request: Request, track: Track, plain_ms: float, now: float) -> Prospect:
        foretold = self._foretold(request, track)
        chances = self._chances(track, foretold)
        tokens = 1 + sum(chances)
        awaited = track.arrivals.awaited(now, len(foretold)) if len(foretold) < self.num_spec_tokens else None
        gain = (chances[-1] if chances else 1.0) * track.acceptance.rate(track.source)
        return Prospect(tokens, awaited, gain, (track.ledger.credit or 0.0) * plain_ms)

    def _settle(self, stream: int, track: Track, length: int, ids: list[int]) -> None:
        accepted = 0
        for place, token in enumerate(ids):
            if track.foretold[place : place + 1] and accepted == place:
                came = track.foretold[place][0] == token
                track.acceptance.observe(track.foretold[place][1], came)
                accepted += came
            track.hints.advance(length + place, token)
        if not ids:
            return
        accepted = min(accepted, track.rows)
        track.ledger.settle(track.rows, accepted, self.costs.row_price)
        drafted = tuple(source for _, source in track.foretold[: track.rows])
        self._reports[stream] = Report(tuple(ids), drafted, accepted)
        track.foretold, track.rows = [], 0

    def _admit(self, request_id: str, cached: int) -> None:
        request = self.requests[request_id]
        stream = self._stream_of(request)
        track = self._tracks.get(stream) if stream is not None else None
        if stream is None or track is None:
            return
        self._requests[stream] = request
        for hint in track.early:
            track.hints.add(hint, request.all_token_ids)
        track.early = []
        self.on_admitted(stream, cached)

    def _known(self, hint: Hint) -> Hint | None:
        """Each list up to its first id that is none."""

        def known(ids: tuple[int, ...]) -> tuple[int, ...]:
            bad = next((i for i, token in enumerate(ids) if not 0 <= token < self._vocabulary), None)
            return ids if bad is None else ids[:bad]

        ids = known(hint.ids)
        if not ids:
            return None
        branches = tuple(replace(branch, ids=kept) for branch in hint.branches if (kept := known(branch.ids)))
        return Hint(hint.path, hint.at, ids, hint.source, branches)

    @staticmethod
    def _stream_of(request: Request) -> int | None:
        fields = (request.sampling_params.extra_args or {}).get(KEY) if request.sampling_params else None
        return fields.get("stream") if fields else None
