"""Windows of ids: every epoch takes each once, in an order that is computed; perplexity is measured on them."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer.errors import TrainerError
from trainer.perplexity import mean_loss
from trainer.progress import Progress
from trainer.shuffle import shuffled
from trainer.token_shards import Windows, read_shards, shard_path, write_shard


@pytest.mark.parametrize("count", [1, 2, 3, 17, 64, 1000])
def test_a_shuffled_order_has_everything_once(count: int) -> None:
    orders = [[shuffled(i, count, seed) for i in range(count)] for seed in (1, 2)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    assert count < 17 or orders[0] != orders[1]


def test_shuffled_places_are_spread_evenly() -> None:
    """Neighbours are no nearer to each other than chance has it: a mean distance of a third of the count."""
    order = np.array([shuffled(i, 30_000, 5) for i in range(30_000)])
    assert np.abs(np.diff(order)).mean() == pytest.approx(10_000, rel=0.03)
    assert order[:3000].mean() == pytest.approx(15_000, rel=0.05)


def test_each_epoch_takes_every_window_once(tmp_path: Path) -> None:
    sizes = (101, 7, 64)
    for index, size in enumerate(sizes):
        write_shard(shard_path(tmp_path, index), [1000 * index + i for i in range(size)], 5000)
    windows = Windows(read_shards(tmp_path), 8, seed=3)
    assert windows.per_epoch == 11 + 0 + 6
    for epoch in range(3):
        starts = [int(windows.at(epoch * 17 + i)[0]) for i in range(17)]
        assert len(set(starts)) == 17
        assert len({start % 1000 % 8 for start in starts}) == 1, "one shift an epoch"
        assert Counter(start // 1000 for start in starts) == {0: 11, 2: 6}
    assert all((np.diff(windows.at(i)) == 1).all() and len(windows.at(i)) == 9 for i in range(40))
    assert [windows.at(i)[0] for i in range(17)] != [windows.at(17 + i)[0] for i in range(17)]
    with pytest.raises(TrainerError, match="longest shard"):
        Windows(read_shards(tmp_path), 90, seed=0)


def test_perplexity_is_that_of_the_definition(tmp_path: Path) -> None:
    """A model whose weights are zero says every id with the same chance; a random one as transformers' loss has it."""
    r = np.random.default_rng(0)
    write_shard(shard_path(tmp_path, 0), r.integers(0, 97, 400).tolist(), 97)
    model = random_model(SMALL)
    windows = Windows(read_shards(tmp_path), 24, seed=0)
    loss = mean_loss(model, windows, 5, 2, Progress("perplexity"))
    rows = torch.from_numpy(np.stack([windows.at(i) for i in range(5)]))
    with torch.inference_mode():
        logits = model(rows[:, :-1]).flatten(0, 1)
    assert loss == pytest.approx(torch.nn.functional.cross_entropy(logits, rows[:, 1:].flatten()).item(), rel=0.01)
    for weight in model.parameters():
        weight.data.zero_()
    assert math.exp(mean_loss(model, windows, 99, 4, Progress("perplexity"))) == pytest.approx(97, rel=1e-3)
