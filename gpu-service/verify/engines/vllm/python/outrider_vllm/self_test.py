"""What this engine is, and how exact: the same text alone, and hinted beside others, compared by its logprobs.

Where kernels are invariant to the batch (f32 on a CPU; VLLM_BATCH_INVARIANT=1 on a GPU) the numbers are equal and the
text does not depend on what is drafted or shares the batch. Elsewhere it is equal up to numerics, and the largest
difference seen here is told.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import vllm
from vllm import SamplingParams

from outrider_vllm.hints import Hint
from outrider_vllm.private import LLMEngine, scheduler_of
from outrider_vllm.settings import KEY

PROMPT_IDS, OUTPUT_IDS = 24, 24
# A logprob of another row may be summed in another order even where its logits are the same bits.
EXACT_WITHIN = 1e-6


def self_test(engine: LLMEngine) -> dict[str, Any]:
    config = engine.vllm_config
    vocabulary = config.model_config.get_vocab_size()
    prompt = [(i * 7919 + 11) % vocabulary for i in range(PROMPT_IDS)]
    others = [[(i * 104729 + n) % vocabulary for i in range(PROMPT_IDS + n)] for n in (1, 2)]
    plain = run(engine, [prompt])[0]
    hinted = run(engine, [prompt, *others], plain)[0]
    difference = max(abs(a - b) for (_, a), (_, b) in zip(plain, hinted, strict=True))
    is_same = [token for token, _ in plain] == [token for token, _ in hinted]
    bits = b"".join(struct.pack("<if", token, logprob) for token, logprob in plain)
    parallel = config.parallel_config
    return {
        "version": vllm.__version__,
        "vocabulary": vocabulary,
        "context": config.model_config.max_model_len,
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "device": config.device_config.device_type,
        "tensor_parallel": parallel.tensor_parallel_size,
        "pipeline_parallel": parallel.pipeline_parallel_size,
        "exact": is_same and difference <= EXACT_WITHIN,
        "difference": difference,
        "fingerprint": hashlib.sha256(bits).hexdigest()[:8],
    }


def run(engine: LLMEngine, prompts: list[list[int]], hinted: list[tuple[int, float]] | None = None) -> Any:
    """[(token, logprob)] of each prompt's greedy text; the first is hinted with all of `hinted`."""
    scheduler = scheduler_of(engine)
    for stream, prompt in enumerate(prompts, 1):
        fields = {"stream": stream, "temperature": 0, "seed": "0"}
        params = SamplingParams(
            temperature=0,
            max_tokens=OUTPUT_IDS,
            ignore_eos=True,
            detokenize=False,
            logprobs=0,
            extra_args={KEY: fields},
        )
        scheduler.track(stream, has_drafts=True)
        engine.add_request(str(stream), {"prompt_token_ids": prompt}, params)
    if hinted:
        scheduler.hint(1, Hint(0, len(prompts[0]), tuple(token for token, _ in hinted), "memory"), 0.0)
    texts: dict[int, list[tuple[int, float]]] = {}
    while engine.has_unfinished_requests():
        for output in engine.step():
            completion = output.outputs[0]
            if output.finished:
                pairs = zip(completion.token_ids, completion.logprobs, strict=True)
                texts[int(output.request_id)] = [(token, found[token].logprob) for token, found in pairs]
    scheduler.take_reports()
    for stream in texts:
        scheduler.forget(stream)
    engine.reset_prefix_cache()
    return [texts[stream] for stream in sorted(texts)]
