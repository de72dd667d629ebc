"""A loss that leaves its course stops the training, and no other."""

import pytest
import torch

from trainer.errors import TrainerError
from trainer.spikes import WINDOW, SpikeWatch


def course(length: int) -> list[float]:
    noise = torch.randn(length, generator=torch.Generator().manual_seed(1)).tolist()
    return [2 + 3 * 0.99**step + 0.02 * n for step, n in enumerate(noise)]


def feed(watch: SpikeWatch, losses: list[float], first: int = 0) -> None:
    for step, loss in enumerate(losses, first):
        watch.check(loss, step)


def test_a_loss_on_its_course_is_left_alone() -> None:
    watch = SpikeWatch()
    for step, loss in enumerate(course(500)):
        watch.check(loss if step != 300 else loss * 2, step)


@pytest.mark.parametrize(("jump", "told"), [(float("nan"), "loss is nan at step 200"), (9.0, "loss jumped: 9.000")])
def test_a_loss_that_leaves_it_stops_with_a_word(jump: float, told: str) -> None:
    before = course(200)
    for watch in (SpikeWatch(before), SpikeWatch()):
        feed(watch, [] if watch.usual else before)
        with pytest.raises(TrainerError, match=told):
            feed(watch, [jump] * 4, 200)


def test_the_first_steps_may_do_as_they_like() -> None:
    watch = SpikeWatch()
    for step in range(WINDOW):
        watch.check(100.0 if step % 2 else 1.0, step)
