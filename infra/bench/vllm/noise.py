"""What seeded sampling adds to a step of a full batch: milliseconds, and the share of the step.

    python noise.py TARGET [BATCH]        TARGET: a folder with a model's config.json; weights are random
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

# Steps are timed here, so the engine's core runs in this process.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"

STEPS = 24
CONTEXT = 128


def main() -> None:
    target, batch = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 32
    from outrider_vllm import register

    register()
    from outrider_vllm import processor

    spent = Stopwatch(processor.choose)
    processor.choose = spent
    engine = make_engine(target, batch)
    shares = {}
    for top_p in (1.0, 0.9):
        steps, draws = run(engine, batch, top_p, spent)
        shares[f"top_p {top_p}"] = {
            "step_ms": round(steps, 2), "draw_ms": round(draws, 2), "share": round(draws / steps, 4)
        }  # fmt: skip
    print(json.dumps({"batch": batch, "device": engine.vllm_config.device_config.device_type, **shares}))
    engine.engine_core.shutdown()


class Stopwatch:
    """Adds up the time that `function` takes, on the device too."""

    def __init__(self, function: Any) -> None:
        self.function, self.ms = function, 0.0

    def __call__(self, *args: Any) -> Any:
        began = time.perf_counter()
        result = self.function(*args)
        result.tolist()  # waits for the device
        self.ms += (time.perf_counter() - began) * 1000
        return result


def make_engine(target: str, batch: int) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    return LLMEngine.from_engine_args(
        EngineArgs(
            model=target,
            load_format="dummy",
            skip_tokenizer_init=True,
            max_model_len=CONTEXT,
            max_num_seqs=batch,
            enforce_eager=True,
        )
    )


def run(engine: Any, batch: int, top_p: float, spent: Stopwatch) -> tuple[float, float]:
    """Medians over decoding steps: the whole step, and the draws in it."""
    from vllm import SamplingParams

    for n in range(batch):
        fields = {"stream": n + 1, "temperature": 1, "seed": str(n), "top_p": top_p}
        params = SamplingParams(
            temperature=0, max_tokens=STEPS, ignore_eos=True, detokenize=False, extra_args={"outrider": fields}
        )
        engine.add_request(f"{top_p} {n}", {"prompt_token_ids": [n + 5, 7, 9, 11]}, params)
    steps, draws = [], []
    while engine.has_unfinished_requests():
        spent.ms = 0.0
        began = time.perf_counter()
        engine.step()
        steps.append((time.perf_counter() - began) * 1000)
        draws.append(spent.ms)
    return statistics.median(steps[2:]), statistics.median(draws[2:])


if __name__ == "__main__":
    main()
