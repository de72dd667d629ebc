"""Mends speculation under pipeline parallelism.

Ranks before the last are told one new token per step. After a step that accepted several drafts their copy of the text
has holes, and a request that leaves the batch and comes back is rebuilt from that copy: its output goes wrong without a
sign. So the scheduler sends the whole text to those ranks (`HintScheduler`), and they restore their copy before use.
"""

from __future__ import annotations

from typing import Any

from outrider_vllm.private import GPUModelRunner, get_pp_group
from outrider_vllm.proposer import NoProposer


def install() -> None:
    """In this process. A second time changes nothing."""
    if getattr(GPUModelRunner._update_states, "restores_text", False):
        return
    # Only the last rank makes a proposer, but every rank asks for it while it sets up its cache.
    GPUModelRunner.drafter = NoProposer(None)
    update = GPUModelRunner._update_states

    def restoring(self: Any, scheduler_output: Any) -> Any:
        group = get_pp_group()
        if group.world_size > 1 and not group.is_last_rank:
            restore_text(self, scheduler_output.scheduled_cached_reqs)
        return update(self, scheduler_output)

    restoring.restores_text = True  # type: ignore[attr-defined]
    GPUModelRunner._update_states = restoring


def restore_text(runner: Any, cached: Any) -> None:
    """`cached`: requests that ran before; their whole texts are in `all_token_ids`."""
    for request_id, computed in zip(cached.req_ids, cached.num_computed_tokens, strict=True):
        text = cached.all_token_ids.get(request_id)
        state = runner.requests.get(request_id)
        if text is None or state is None or computed < state.num_prompt_tokens:
            continue
        state.output_token_ids[:] = text[state.num_prompt_tokens : computed]
        row = runner.input_batch.req_id_to_index.get(request_id)
        if row is not None:
            runner.input_batch.token_ids_cpu[row, state.num_prompt_tokens : computed] = state.output_token_ids
