"""The engine as a process: requests, hints and cancels come in, admissions and tokens go out, between two steps.

Messages are those of `../messages.ts`, which parses what is said here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind

from outrider_vllm.hints import Hint, HintedBranch
from outrider_vllm.inbox import Arrived, Inbox, now_ms
from outrider_vllm.private import LLMEngine, scheduler_of
from outrider_vllm.scheduler import HintScheduler, Report
from outrider_vllm.settings import KEY

Say = Callable[[dict[str, Any]], None]


class Service:
    def __init__(self, engine: LLMEngine, say: Say) -> None:
        self._engine = engine
        self._scheduler: HintScheduler = scheduler_of(engine)
        self._scheduler.on_admitted = lambda stream, cached: say({"type": "opened", "stream": stream, "cached": cached})
        self._say = say
        self._running: set[int] = set()

    def run(self, inbox: Inbox) -> None:
        """Until a close. Raises what the engine does."""
        wait: float | None = None
        while self._take(inbox.take(wait)):
            wait = self._scheduler.wait_ms(now_ms()) / 1000 if self._running else None
            if wait == 0:
                self._step()

    def _take(self, messages: list[Arrived]) -> bool:
        """False: it is time to close."""
        for at, message in messages:
            match message["type"]:
                case "start":
                    self._start(message)
                case "hint":
                    self._scheduler.hint(message["stream"], read_hint(message), at)
                case "cancel":
                    self._cancel(message["stream"])
                case "close":
                    return False
        return True

    def _start(self, message: dict[str, Any]) -> None:
        stream = message["stream"]
        prompt = {"prompt_token_ids": message["ids"], "cache_salt": message["tenant"]}
        params = SamplingParams(
            temperature=0,
            max_tokens=message["max_tokens"],
            stop_token_ids=message["stop_ids"],
            ignore_eos=True,
            detokenize=False,
            logprobs=message.get("logprobs"),
            prompt_logprobs=message.get("prompt_logprobs"),
            output_kind=RequestOutputKind.DELTA,
            extra_args={KEY: {**message["sampling"], "stream": stream}},
        )
        self._scheduler.track(stream, message["drafts"])
        try:
            self._engine.add_request(str(stream), prompt, params)
        except (ValueError, TypeError) as error:
            self._scheduler.forget(stream)
            self._say({"type": "refused", "stream": stream, "message": str(error)[:900]})
            return
        self._running.add(stream)

    def _cancel(self, stream: int) -> None:
        if stream in self._running:
            self._engine.abort_request([str(stream)])
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        self._running.discard(stream)
        self._scheduler.forget(stream)

    def _step(self) -> None:
        scheduler = self._scheduler
        began = now_ms()
        outputs = self._engine.step()
        ms = now_ms() - began
        scheduler.stepped(ms)
        reports = scheduler.take_reports()
        parts = []
        for output in outputs:
            stream = int(output.request_id)
            parts.append(part_of(output, stream, reports.get(stream), scheduler.steps_of(stream)))
            if output.finished:
                self._forget(stream)
        if parts:
            self._say({"type": "turn", "ms": round(ms, 3), "rows": scheduler.step.rows, "parts": parts})
        scheduler.settled(now_ms())


def part_of(output: Any, stream: int, report: Report | None, steps: int) -> dict[str, Any]:
    """What a turn says of one stream."""
    completion = output.outputs[0]
    part: dict[str, Any] = {
        "stream": stream,
        "ids": list(completion.token_ids),
        "drafted": report.drafted if report else [],
        "accepted": report.accepted if report else 0,
        "steps": steps,
        "finished": output.finished,
    }
    if completion.logprobs:
        pairs = zip(completion.token_ids, completion.logprobs, strict=True)
        part["logprobs"] = [entry(token, found) for token, found in pairs]
    if output.prompt_logprobs:
        pairs = zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
        part["prompt_logprobs"] = [entry(token, found) if found else None for token, found in pairs]
    return part


def entry(token: int, found: dict[int, Any]) -> list[Any]:
    """[logprob, [[id, logprob], ...]], likeliest ids first; `found` may have the token beside the likeliest."""
    top = sorted(found.items(), key=lambda item: (item[1].rank, item[0]))
    return [found[token].logprob, [[other, value.logprob] for other, value in top]]


def read_hint(message: dict[str, Any]) -> Hint:
    branches = tuple(
        HintedBranch(branch["at"], branch.get("from", 0), tuple(branch["ids"]))
        for branch in message.get("branches", ())
    )
    return Hint(message["path"], message["at"], tuple(message["ids"]), message["source"], branches)
