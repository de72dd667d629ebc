"""What a training is at a step, whole, however it is spread over processes: the same file goes on with any number."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from trainer.llama import Llama
from trainer.parallel import Parallel


def save(path: Path, model: Llama, optimiser: torch.optim.Optimizer, parallel: Parallel, **more: Any) -> None:
    """All processes take part, the first writes: whole or not at all."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=parallel.world > 1)
    state = {
        "model": get_model_state_dict(model, options=options),
        "optimiser": get_optimizer_state_dict(model, optimiser, options=options),
        **more,
    }
    if parallel.first:
        beside = path.with_suffix(".part")
        torch.save(state, beside)
        os.replace(beside, path)


def restore(path: Path, model: Llama, optimiser: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Puts model and optimiser where they were; what else was saved, or None without a checkpoint."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(model, state.pop("model"), options=options)
    set_optimizer_state_dict(model, optimiser, state.pop("optimiser"), options=options)
    return state


def whole(model: Llama, parallel: Parallel) -> Llama | None:
    """The model with all of its weights, on the CPU of the first process."""
    if parallel.world == 1:
        return model.to("cpu")
    weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if not parallel.first:
        return None
    alone = Llama(model.c)
    alone.load_state_dict(weights)
    return alone
