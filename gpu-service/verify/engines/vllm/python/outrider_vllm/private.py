"""Every internal of vLLM that this package touches, and the versions in which they are known to fit.

vLLM keeps none of these stable. An unknown version is refused at start: it could go wrong without a sign.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import vllm
import vllm.v1.sample.logits_processor as logits_processors
from vllm.distributed.parallel_state import get_pp_group
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.core_client import InprocClient
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.outputs import DraftTokenIds
from vllm.v1.request import Request
from vllm.v1.sample.logits_processor.builtin import MinTokensLogitsProcessor, process_dict_updates
from vllm.v1.sample.rejection_sampler import RejectionSampler
from vllm.v1.spec_decode.metadata import SpecDecodeMetadata
from vllm.v1.worker.gpu_input_batch import InputBatch
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

TESTED_VERSIONS = ("0.32.0",)

# What is called or replaced, with the parameters that are relied on.
CALLABLES: tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...] = (
    ("Scheduler.schedule", Scheduler.schedule, ("self",)),
    ("Scheduler.update_from_output", Scheduler.update_from_output, ("scheduler_output", "model_runner_output")),
    ("Scheduler.update_draft_token_ids", Scheduler.update_draft_token_ids, ("draft_token_ids",)),
    ("DraftTokenIds", DraftTokenIds, ("req_ids", "draft_token_ids")),
    ("RejectionSampler.forward", RejectionSampler.forward, ("metadata", "draft_probs", "logits", "sampling_metadata")),
    ("MinTokensLogitsProcessor.apply", MinTokensLogitsProcessor.apply, ("logits",)),
    (
        "MinTokensLogitsProcessor.apply_with_spec_decode",
        MinTokensLogitsProcessor.apply_with_spec_decode,
        ("logits", "num_draft_tokens"),
    ),
    ("MinTokensLogitsProcessor.update_state", MinTokensLogitsProcessor.update_state, ("batch_update",)),
    ("process_dict_updates", process_dict_updates, ("req_entries", "batch_update", "new_state")),
    ("GPUModelRunner._update_states", GPUModelRunner._update_states, ("scheduler_output",)),
    ("LLMEngine.abort_request", LLMEngine.abort_request, ("request_ids", "internal")),
)
FIELDS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (SpecDecodeMetadata, ("draft_token_ids", "num_draft_tokens")),
)


class UnsupportedVersionError(Exception):
    """The installed vLLM is not one that this package was tested with."""


def require_known_version(version: str = vllm.__version__) -> None:
    """Raises UnsupportedVersionError with the list of tested ones, or with the name of what does not fit."""
    if version.split("+")[0] not in TESTED_VERSIONS:
        raise UnsupportedVersionError(
            f"vLLM {version} is not one that outrider_vllm was tested with: {', '.join(TESTED_VERSIONS)}"
        )
    misfits = misfit_symbols()
    if misfits:
        raise UnsupportedVersionError(f"vLLM {version} has other internals than expected: {'; '.join(misfits)}")


def misfit_symbols() -> list[str]:
    """Names of what is not as this package relies on."""
    misfits = []
    for name, function, wanted in CALLABLES:
        lacks = [parameter for parameter in wanted if parameter not in inspect.signature(function).parameters]
        if lacks:
            misfits.append(f"{name} takes no {', '.join(lacks)}")
    for owner, names in FIELDS:
        lacks = [name for name in names if name not in owner.__dataclass_fields__]
        if lacks:
            misfits.append(f"{owner.__name__} has no {', '.join(lacks)}")
    if MinTokensLogitsProcessor not in logits_processors.BUILTIN_LOGITS_PROCESSORS:
        misfits.append("MinTokensLogitsProcessor is not built in")
    return misfits


def replace_builtin_processor(replacement: type[MinTokensLogitsProcessor]) -> None:
    """The one class of processors that vLLM runs on draft rows too gives way to a subclass of it."""
    # Under speculation vLLM makes it by name, otherwise it goes through its list.
    logits_processors.MinTokensLogitsProcessor = replacement
    builtin = logits_processors.BUILTIN_LOGITS_PROCESSORS
    builtin[builtin.index(MinTokensLogitsProcessor)] = replacement


def scheduler_of(engine: LLMEngine) -> Any:
    """The scheduler of an engine whose core runs in this process."""
    client = engine.engine_core
    if not isinstance(client, InprocClient):
        raise UnsupportedVersionError("VLLM_ENABLE_V1_MULTIPROCESSING=0 did not keep the engine's core in this process")
    return client.engine_core.scheduler


def is_ready_for_drafts(request: Request) -> bool:
    """Whether the last token of the request is committed and all before it are computed."""
    return request.num_computed_tokens == request.num_tokens - 1 and not request.is_prefill_chunk


__all__ = [
    "TESTED_VERSIONS",
    "DraftTokenIds",
    "GPUModelRunner",
    "InputBatch",
    "LLMEngine",
    "MinTokensLogitsProcessor",
    "RejectionSampler",
    "Request",
    "Scheduler",
    "UnsupportedVersionError",
    "get_pp_group",
    "is_ready_for_drafts",
    "misfit_symbols",
    "process_dict_updates",
    "replace_builtin_processor",
    "require_known_version",
    "scheduler_of",
]
