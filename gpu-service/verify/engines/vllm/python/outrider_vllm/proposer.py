"""The proposer that opens vLLM's way for drafts and proposes none: they come from outside (`scheduler.py`)."""

from __future__ import annotations

from typing import Any


class NoProposer:
    """For `speculative_config={"method": "custom_class", "model": "outrider_vllm.proposer.NoProposer", ...}`."""

    def __init__(self, vllm_config: Any) -> None:
        """vLLM makes it with its configuration."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """vLLM's CPU runner calls this of every proposer."""

    def propose(self, sampled_token_ids: list[list[int]], *args: Any, **kwargs: Any) -> list[list[int]]:
        return [[] for _ in sampled_token_ids]
