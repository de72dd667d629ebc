"""`python -m outrider_vllm.serve CONFIGURATION`: JSON lines in, JSON lines out, logs on standard error.

CONFIGURATION is a JSON object, see `Configuration`. The service on Node starts it (`../process.ts`); it ends when its
input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

# The scheduler is fed between two steps, so it lives here and not in a process of vLLM's own.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
# Model runner V2 has no way for drafts from outside.
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"


@dataclass(frozen=True)
class Configuration:
    model: str
    context: int
    slots: int
    dtype: str
    """A dtype's name, or "auto": the model's own."""
    hint_rows: int
    """Most hint rows of one request in a step."""
    tensor_parallel: int
    pipeline_parallel: int
    executor: str
    """"uni", "mp" or "ray"; "auto": as vLLM chooses."""
    prefix_cache: bool
    eager: bool
    memory_share: float
    row_price: float | None
    """What a hint row adds to a step, as a part of a plain one; None: measured."""


def main() -> None:
    configuration = Configuration(**json.loads(sys.argv[1]))
    # Whatever prints in here prints to the log: standard output is the channel.
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message, separators=(",", ":")) + "\n")

    try:
        serve(configuration, say)
    except Exception as error:
        say({"type": "failed", "reason": f"{type(error).__name__}: {error}"[:900]})
        raise


def serve(configuration: Configuration, say: Any) -> None:
    from outrider_vllm.engine import make_engine
    from outrider_vllm.inbox import Inbox
    from outrider_vllm.private import scheduler_of
    from outrider_vllm.self_test import self_test
    from outrider_vllm.service import Service
    from outrider_vllm.worth import StepCosts

    engine = make_engine(configuration)
    scheduler_of(engine).costs = StepCosts(configuration.row_price)
    say({"type": "ready", **self_test(engine)})
    try:
        Service(engine, say).run(Inbox(sys.stdin))
    finally:
        engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
