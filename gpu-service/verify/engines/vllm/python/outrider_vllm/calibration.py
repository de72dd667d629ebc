"""What steps of this engine cost by their hint rows, measured at load on one text with so many of them in turn."""

from __future__ import annotations

import statistics
import time

from vllm import SamplingParams

from outrider_vllm.costs import StepCosts
from outrider_vllm.hints import Hint
from outrider_vllm.private import LLMEngine, scheduler_of
from outrider_vllm.settings import KEY

STREAM = 1
PROMPT = [1, 2, 3, 4]
STEPS = 48
# Where steps are slow, a few of each kind have to do.
FEW_OF_EACH = 3
MOST_SECONDS = 20.0


def measure_costs(engine: LLMEngine, most_rows: int) -> StepCosts:
    """`most_rows`: hint rows that a request may have in a step."""
    kinds = sorted({0, 1, most_rows})
    times: dict[int, list[float]] = {rows: [] for rows in kinds}
    scheduler = scheduler_of(engine)
    scheduler.track(STREAM, has_drafts=True)
    engine.add_request(str(STREAM), {"prompt_token_ids": PROMPT}, _params())
    began, path, length = time.perf_counter(), 0, len(PROMPT)
    while engine.has_unfinished_requests():
        scheduler.wanted_rows = kinds[path % len(kinds)]
        # The ids mean nothing: most are refused, which costs as much as if they came true.
        scheduler.hint(STREAM, Hint(path, length, (path % PROMPT[-1],) * most_rows, "guess"), 0.0)
        path += 1
        start = time.perf_counter()
        for output in engine.step():
            length = len(PROMPT) + len(output.outputs[0].token_ids)
        step = scheduler.step
        if step.is_decoding and step.extent.hint_rows in times:
            times[step.extent.hint_rows].append((time.perf_counter() - start) * 1000)
        is_enough = min(map(len, times.values())) >= FEW_OF_EACH
        if is_enough and time.perf_counter() - began > MOST_SECONDS:
            engine.abort_request([str(STREAM)])
    scheduler.wanted_rows = None
    scheduler.take_reports()
    scheduler.forget(STREAM)
    engine.reset_prefix_cache()
    # Disturbances only add: the quicker half tells.
    return StepCosts([(rows, statistics.quantiles(times[rows], n=4)[0]) for rows in kinds])


def _params() -> SamplingParams:
    """Drawn, not greedy: what hint rows cost more then."""
    fields = {"stream": STREAM, "temperature": 1, "seed": "0"}
    return SamplingParams(
        temperature=0, max_tokens=STEPS, ignore_eos=True, detokenize=False, extra_args={KEY: fields}
    )
