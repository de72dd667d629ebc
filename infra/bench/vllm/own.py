"""vLLM with a speculation of its own, or none: texts in, ids with steps and times out, one JSON object a line.

    python own.py TARGET none|ngram|DRAFT TOKENS        DRAFT: a release's model.draft
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Steps are counted, so the engine's core runs in this process; our plugin stays out.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_PLUGINS"] = ""

CONTEXT = 512
K = 6
"""Drafted tokens a step, and the longest pattern that n-gram looks for."""


def main() -> None:
    target, how, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(target) / "tokenizer.json"))
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(target, speculation(how, Path(folder)))
        print(json.dumps({"ready": True}), file=channel)
        for number, line in enumerate(sys.stdin):
            ids = tokenizer.encode(json.loads(line), add_special_tokens=False).ids
            print(json.dumps(complete(engine, str(number), ids, tokens)), file=channel)
        engine.engine_core.shutdown()


def speculation(how: str, folder: Path) -> dict[str, Any] | None:
    if how == "none":
        return None
    if how == "ngram":
        return {"method": "ngram", "num_speculative_tokens": K, "prompt_lookup_min": 2, "prompt_lookup_max": K}
    write_draft(Path(how), folder)
    return {"method": "draft_model", "model": str(folder), "num_speculative_tokens": K, "max_model_len": CONTEXT}


def write_draft(image: Path, folder: Path) -> None:
    """Our draft as a Hugging Face folder, of the numbers that the edge computes with."""
    import torch
    from trainer.checkpoint import write_model
    from trainer.image import read_image

    write_model(read_image(image), folder, [0], torch.float32)


def make_engine(target: str, speculative: dict[str, Any] | None) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    return LLMEngine.from_engine_args(
        EngineArgs(
            model=target,
            skip_tokenizer_init=True,
            max_model_len=CONTEXT,
            max_num_seqs=4,
            dtype="float32",
            enforce_eager=True,
            speculative_config=speculative,
        )
    )


def complete(engine: Any, name: str, ids: list[int], tokens: int) -> dict[str, Any]:
    """`ms`: from the first token to the last."""
    from vllm import SamplingParams

    engine.add_request(
        name,
        {"prompt_token_ids": ids},
        SamplingParams(temperature=0, max_tokens=tokens, stop_token_ids=[0, 2], ignore_eos=True, detokenize=False),
    )
    steps, first, output = 0, None, []
    while engine.has_unfinished_requests():
        outputs = engine.step()
        steps += 1
        if outputs and outputs[0].outputs[0].token_ids:
            first = first or time.perf_counter()
            output = list(outputs[0].outputs[0].token_ids)
    ms = (time.perf_counter() - (first or 0)) * 1000
    return {"prompt_ids": len(ids), "ids": output, "steps": steps, "ms": ms}


if __name__ == "__main__":
    main()
