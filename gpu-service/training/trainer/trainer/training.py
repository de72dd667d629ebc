"""The training loop that `pretrain`, `finetune` and `distil` share: AdamW, a cosine, checkpoints that resume exactly.

A stage gives a function from step number to loss; the batch depends on nothing but that number, so a run that was
killed anywhere goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from trainer.llama import Llama
from trainer.parallel import Parallel
from trainer.progress import Progress
from trainer.record import Course, Record
from trainer.schedule import Schedule, quantised_after, share_of_peak
from trainer.state import restore, save

CHECKPOINT_FILE = "checkpoint.pt"
ALONE = Parallel()


def optimiser_of(model: Llama, schedule: Schedule) -> torch.optim.AdamW:
    """Decay on the matrices of the body only: an embedding row that no batch touches must stay what it is."""
    matrices: list[Tensor] = []
    embeddings: list[Tensor] = []
    vectors: list[Tensor] = []
    for name, weight in model.named_parameters():
        if name.startswith(("embed_tokens", "lm_head")):
            embeddings.append(weight)
        else:
            (matrices if weight.dim() == 2 else vectors).append(weight)
    groups = [
        {"params": matrices, "peak": schedule.lr, "weight_decay": schedule.decay},
        {"params": vectors, "peak": schedule.lr, "weight_decay": 0.0},
        {"params": embeddings, "peak": schedule.lr_embeddings, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=(0.9, 0.95), fused=True)


def train(
    model: Llama,
    loss_at: Callable[[int], tuple[Tensor, int]],
    schedule: Schedule,
    out: Path,
    progress: Progress,
    parallel: Parallel = ALONE,
    flops_per_token: float | None = None,
) -> None:
    """Train in place, where the model is. `loss_at(step)` gives the mean loss and the tokens that it is a mean of.

    Nothing here waits for a GPU but the reading of a step's loss, one step late (`record.py`). With `flops_per_token`
    the record says what share of the hardware's peak is used. TrainerError when the loss is not finite or has jumped:
    the last checkpoint is left as it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / CHECKPOINT_FILE
    optimiser = optimiser_of(model, schedule)
    peaks = [group["peak"] for group in optimiser.param_groups]
    done = restore(path, model, optimiser) or {"step": 0, "tokens": 0}
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["peak"] = peak  # What is asked for now: a run may go on with a lower rate.
    first, tokens = int(done["step"]), int(done["tokens"])
    turn = quantised_after(schedule)
    record = Record(out, Course(first, schedule.steps, turn, flops_per_token), progress, parallel)
    model.train()
    record.begin(tokens)
    saved = time.monotonic()
    for step in range(first, schedule.steps):
        lr = prepare(model, optimiser, schedule, step)
        loss, count = loss_at(step)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        tokens += count
        record.note(step + 1, loss.detach(), norm, lr, tokens)
        if parallel.agreed(time.monotonic() - saved > schedule.checkpoint_s):
            record.read()
            save(path, model, optimiser, parallel, step=step + 1, tokens=tokens)
            saved = time.monotonic()
    record.read()
    record.close()
    model.pretend(None)
    model.eval()


def prepare(model: Llama, optimiser: torch.optim.Optimizer, schedule: Schedule, step: int) -> float:
    """Set what changes with the steps: rounded weights and learning rates. Returns the body's rate."""
    model.pretend(schedule.quantisation if step >= quantised_after(schedule) else None)
    share = share_of_peak(schedule, step)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * share
    return schedule.lr * share
