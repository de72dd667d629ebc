"""`python -m outrider_vllm.serve CONFIGURATION`: the process around vLLM, which speaks over its channel (`channel.py`).

CONFIGURATION is a JSON object, see `Configuration`. The service on Node starts it (`../process.ts`); it ends when the
channel does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass

from outrider_vllm.channel import Channel

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
    channel = Channel.of_environment()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(configuration, channel)
    except Exception as error:
        channel.say({"type": "failed", "reason": f"{type(error).__name__}: {error}"[:900]})
        raise


def serve(configuration: Configuration, channel: Channel) -> None:
    from outrider_vllm.calibration import measure_costs
    from outrider_vllm.costs import StepCosts
    from outrider_vllm.engine import make_engine
    from outrider_vllm.inbox import Inbox
    from outrider_vllm.private import scheduler_of
    from outrider_vllm.self_test import self_test
    from outrider_vllm.service import Service
    from outrider_vllm.track import Experience

    engine = make_engine(configuration)
    scheduler, price = scheduler_of(engine), configuration.row_price
    found = self_test(engine)
    scheduler.costs = measure_costs(engine, configuration.hint_rows) if price is None else StepCosts.of_price(price)
    scheduler.experience = Experience()
    channel.say({"type": "ready", **found})
    try:
        Service(engine, channel.say).run(Inbox(channel.lines))
    finally:
        engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
