"""What seeded sampling adds to a step of a full batch: milliseconds, and the share of the step.

    python noise.py TARGET [--batch 32] [--random]        TARGET: a Hugging Face folder

Texts go on from the questions of test/cases/chat-prompts.json. `--random`: random weights, whose logits are so flat
that the likeliest tokens are half of the vocabulary: the worst case.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

# Steps are timed here, so the engine's core runs in this process.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"

STEPS = 12
CONTEXT = 256
PROMPTS = Path(__file__).parents[3] / "test/cases/chat-prompts.json"
CASES: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0},
    "temperature 1": {},
    "top_p 0.9": {"top_p": 0.9},
    "top_k 40": {"top_k": 40},
    "min_p 0.05": {"min_p": 0.05},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--random", action="store_true")
    arguments = parser.parse_args()
    from outrider_vllm import processor, register

    register()
    spent = Stopwatch(processor.SeededProcessor.apply)
    processor.SeededProcessor.apply = lambda *given: spent(*given)
    engine = make_engine(arguments.target, arguments.batch, arguments.random)
    prompts = read_prompts(arguments.target, arguments.batch)
    result = {}
    for name, settings in CASES.items():
        steps, draws = run(engine, name, prompts, settings, spent)
        result[name] = {"step_ms": round(steps, 2), "draw_ms": round(draws, 2), "share": round(draws / steps, 4)}
    device = engine.vllm_config.device_config.device_type
    print(json.dumps({"batch": arguments.batch, "random": arguments.random, "device": device, **result}))
    engine.engine_core.shutdown()


class Stopwatch:
    """Adds up the time that `function` takes, on the device too."""

    def __init__(self, function: Any) -> None:
        self.function, self.ms = function, 0.0

    def __call__(self, *given: Any) -> Any:
        began = time.perf_counter()
        result = self.function(*given)
        float(result[0, 0])  # waits for the device
        self.ms += (time.perf_counter() - began) * 1000
        return result


def make_engine(target: Path, batch: int, is_random: bool) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    return LLMEngine.from_engine_args(
        EngineArgs(
            model=str(target),
            load_format="dummy" if is_random else "auto",
            skip_tokenizer_init=True,
            max_model_len=CONTEXT,
            max_num_seqs=batch,
            enforce_eager=True,
        )
    )


def read_prompts(target: Path, batch: int) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    questions = json.loads(PROMPTS.read_text())
    return [tokenizer.encode(questions[n % len(questions)]).ids[: CONTEXT - STEPS] for n in range(batch)]


def run(
    engine: Any, name: str, prompts: list[list[int]], settings: dict[str, float], spent: Stopwatch
) -> tuple[float, float]:
    """Medians over decoding steps: the whole step, and the draws in it."""
    from vllm import SamplingParams

    for n, prompt in enumerate(prompts):
        fields = {"stream": n + 1, "temperature": 1, "seed": str(n), **settings}
        params = SamplingParams(
            temperature=0, max_tokens=STEPS, ignore_eos=True, detokenize=False, extra_args={"outrider": fields}
        )
        engine.add_request(f"{name} {n}", {"prompt_token_ids": prompt}, params)
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
