"""vLLM with a speculation of its own: prompts in, ids with steps and times out, one JSON value a line.

    python own.py OPTIONS        a JSON object, see `Options`
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Steps are counted, so the engine's core runs in this process; our plugin stays out.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_PLUGINS"] = ""

K = 6
"""Drafted tokens a step, and the longest pattern that n-gram looks for."""


@dataclass(frozen=True)
class Options:
    target: str
    """Hugging Face folder."""
    how: str
    """"ngram", or the path of a release's model.draft."""
    context: int
    stop_ids: list[int]


def main() -> None:
    options = Options(**json.loads(sys.argv[1]))
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(options, speculation(options, Path(folder)))
        print(json.dumps({"ready": True}), file=channel)
        for number, line in enumerate(sys.stdin):
            print(json.dumps(complete(engine, str(number), json.loads(line), options.stop_ids)), file=channel)
        engine.engine_core.shutdown()


def speculation(options: Options, folder: Path) -> dict[str, Any]:
    if options.how == "ngram":
        return {"method": "ngram", "num_speculative_tokens": K, "prompt_lookup_min": 2, "prompt_lookup_max": K}
    write_draft(Path(options.how), folder)
    return {
        "method": "draft_model", "model": str(folder), "num_speculative_tokens": K, "max_model_len": options.context
    }  # fmt: skip


def write_draft(image: Path, folder: Path) -> None:
    """Our draft as a Hugging Face folder, of the numbers that the edge computes with."""
    import torch
    from trainer.checkpoint import write_model
    from trainer.image import read_image

    write_model(with_whole_head(read_image(image)), folder, [0], torch.float32)


def with_whole_head(draft: Any) -> Any:
    """vLLM knows no short head. An id that ours lacks gets the mean of its rows, so its logit is the mean of theirs:
    it is never the highest, and the draft says the same ids as in the edge."""
    from dataclasses import replace

    from trainer.llama import Llama

    if draft.head_ids is None:
        return draft
    weights = draft.state_dict()
    ids, head = weights.pop("head_ids"), weights["lm_head.weight"]
    weights["lm_head.weight"] = head.mean(dim=0).repeat(draft.c.vocab, 1)
    weights["lm_head.weight"][ids] = head
    whole = Llama(replace(draft.c, head_rows=None))
    whole.load_state_dict(weights)
    return whole


def make_engine(options: Options, speculative: dict[str, Any]) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    return LLMEngine.from_engine_args(
        EngineArgs(
            model=options.target,
            skip_tokenizer_init=True,
            max_model_len=options.context,
            max_num_seqs=4,
            dtype="float32",
            enforce_eager=True,
            speculative_config=speculative,
        )
    )


def complete(engine: Any, name: str, asked: dict[str, Any], stop_ids: list[int]) -> dict[str, Any]:
    """`asked`: the prompt's ids, and how many tokens at most. `ms`: from the first token to the last."""
    from vllm import SamplingParams

    params = SamplingParams(
        temperature=0, max_tokens=asked["tokens"], stop_token_ids=stop_ids, ignore_eos=True, detokenize=False
    )
    engine.add_request(name, {"prompt_token_ids": asked["ids"]}, params)
    steps, first, output = 0, None, []
    while engine.has_unfinished_requests():
        outputs = engine.step()
        steps += 1
        if outputs and outputs[0].outputs[0].token_ids:
            first = first or time.perf_counter()
            output = list(outputs[0].outputs[0].token_ids)
    ms = (time.perf_counter() - (first or 0)) * 1000
    return {"ids": output, "steps": steps, "ms": ms}


if __name__ == "__main__":
    main()
