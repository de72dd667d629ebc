"""The loss of one step: of a whole batch, computed in parts and by many processes, as if at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.errors import TrainerError
from trainer.objective import IGNORED
from trainer.parallel import Parallel


def loss_of_rows(
    objective: nn.Module, rows_at: Callable[[int, range], Tensor], batch: int, micro: int, parallel: Parallel
) -> Callable[[int], tuple[Tensor, int]]:
    """Step to the mean loss of its batch, whose backward pass completes the gradients, and the batch's tokens.

    `rows_at(step, rows)` gives ids [rows, sequence + 1]; `objective` the mean loss of some of them. All parts but the
    last have been through the backward pass when the loss comes back.
    """
    mine = parallel.rows(batch)
    at_once = micro or len(mine)
    if len(mine) % at_once:
        raise TrainerError(f"{len(mine)} sequences a process do not divide into micro-batches of {at_once}")

    def at(step: int) -> tuple[Tensor, int]:
        ids = rows_at(step, mine)
        parts = torch.split(ids, at_once)
        counts = torch.tensor([float((part[:, 1:] != IGNORED).sum()) for part in parts]).to(parallel.device)
        # The exchange of gradients averages over processes; each part counts by its tokens.
        weights = counts * parallel.world / parallel.total(counts.sum())
        loss = torch.zeros((), device=parallel.device)
        for number, part in enumerate(parts):
            last = number + 1 == len(parts)
            with parallel.exchange(objective, last):
                part_loss = objective(part.to(parallel.device)) * weights[number]
                if not last:
                    part_loss.backward()
            loss = loss.detach() + part_loss
        everyone = parallel.total(loss.detach() / parallel.world)
        return loss + (everyone - loss).detach(), batch * (ids.shape[1] - 1)

    return at
