"""Makes vLLM's engine with our scheduler in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm import EngineArgs

from outrider_vllm import register
from outrider_vllm.private import LLMEngine

if TYPE_CHECKING:
    from outrider_vllm.serve import Configuration

MAX_LOGPROBS = 20


def make_engine(configuration: Configuration) -> LLMEngine:
    """Raises what vLLM does, and UnsupportedVersionError."""
    register()
    parallel = configuration.tensor_parallel * configuration.pipeline_parallel > 1
    executor: dict[str, Any] = {}
    if configuration.executor != "auto":
        executor["distributed_executor_backend"] = configuration.executor
    elif parallel:
        executor["distributed_executor_backend"] = "mp"
    return LLMEngine.from_engine_args(
        EngineArgs(
            model=configuration.model,
            skip_tokenizer_init=True,
            max_model_len=configuration.context,
            max_num_seqs=configuration.slots,
            dtype=configuration.dtype,
            max_logprobs=MAX_LOGPROBS,
            enable_prefix_caching=configuration.prefix_cache,
            gpu_memory_utilization=configuration.memory_share,
            tensor_parallel_size=configuration.tensor_parallel,
            pipeline_parallel_size=configuration.pipeline_parallel,
            speculative_config={
                "method": "custom_class",
                "model": "outrider_vllm.proposer.NoProposer",
                "num_speculative_tokens": configuration.hint_rows,
            },
            scheduler_cls="outrider_vllm.scheduler.HintScheduler",
            **executor,
            **_eager(configuration),
        )
    )


def _eager(configuration: Configuration) -> dict[str, Any]:
    if not configuration.eager:
        return {}
    # Under pipeline parallelism vLLM on a CPU needs its warm-up pass, which enforce_eager skips.
    if configuration.pipeline_parallel > 1:
        return {"compilation_config": {"mode": 2, "backend": "eager"}}
    return {"enforce_eager": True}
