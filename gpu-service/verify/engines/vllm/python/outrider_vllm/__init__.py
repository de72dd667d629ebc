"""Drafts from outside for vLLM, and seeded sampling whose text does not depend on them.

Three independent parts, each usable by itself:

- `scheduler.HintScheduler` verifies hinted ids, which may arrive at any moment, beside a request's next token;
- `processor` samples by position-keyed Gumbel noise inside vLLM's own greedy verification;
- `pipeline` mends speculation under pipeline parallelism.

`serve` is a process around them that speaks lines of JSON; `private` holds every vLLM internal that is touched.
"""

from functools import cache


@cache
def register() -> None:
    """vLLM calls this in each of its processes (entry point of group vllm.general_plugins). Once is enough."""
    from outrider_vllm import pipeline, private, processor

    private.require_known_version()
    processor.install()
    pipeline.install()
