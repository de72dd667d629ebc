"""The distilling loss against autograd, short heads, and training that goes on where it was cut off."""

from pathlib import Path

import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer.acceptance import rounds
from trainer.cut import cut, with_short_head
from trainer.device import device_of
from trainer.errors import TrainerError
from trainer.loss import DistilLoss, Mix, listed_shares
from trainer.progress import Progress
from trainer.quantise import Quantisation
from trainer.schedule import Schedule
from trainer.training import train


def obvious_loss(
    logits: torch.Tensor, rows: torch.Tensor, p: torch.Tensor, listed: torch.Tensor, mix: Mix
) -> torch.Tensor:
    """By the formula, one position at a time."""
    total = torch.zeros(())
    for z, ids, shares, known in zip(logits, rows, p, listed, strict=True):
        q, share = z.softmax(-1)[ids[known]], shares[known]
        q, share = torch.cat((q, 1 - q.sum()[None])), torch.cat((share, 1 - share.sum()[None]))
        total = total + mix.forward_kl * (share * (share / q).log()).sum()
        total = total + mix.reverse_kl * (q * (q / share).log()).sum()
        total = total + mix.total_variation * (q - share).abs().sum() / 2
    return total / len(logits)


@pytest.mark.parametrize("mix", [Mix(), Mix(0, 1, 0), Mix(0, 0, 1), Mix(0.5, 0.2, 2)], ids=str)
def test_loss_and_gradient_follow_the_formula(mix: Mix) -> None:
    r = torch.Generator().manual_seed(3)
    hidden = torch.randn(7, 16, generator=r, requires_grad=True)
    head = (torch.randn(30, 16, generator=r) / 4).requires_grad_()
    teacher = torch.randn(7, 50, generator=r)
    top = teacher.topk(6, -1)
    row_of = torch.where(torch.arange(50) % 3 > 0, torch.arange(50) % 30, -1)
    row_of[torch.arange(30, 50)] = -1
    rows = row_of[top.indices]
    p = listed_shares(top.values, teacher.logsumexp(-1), rows >= 0)
    assert (p.sum(-1) < 1).all()
    loss = DistilLoss.apply(hidden, head, rows.clamp(min=0), p, rows >= 0, mix)
    loss.backward()
    got = hidden.grad.clone(), head.grad.clone()
    hidden.grad = head.grad = None
    wanted = obvious_loss(hidden @ head.T, rows, p, rows >= 0, mix)
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=2e-2)
    for mine, theirs in zip(got, (hidden.grad, head.grad), strict=True):
        assert (mine - theirs).abs().max() < 0.02 * theirs.abs().max() + 1e-4


def test_a_cut_takes_layers_and_short_heads_take_rows() -> None:
    target = random_model(SMALL)
    whole = cut(target, [1], 64, None)
    ids = torch.tensor([1, 5, 60, 96])
    short = cut(target, [1], 64, ids)
    x = torch.arange(12)[None]
    with torch.inference_mode():
        assert torch.equal(whole.layers[0](torch.ones(1, 2, 64), whole.cos[:2], whole.sin[:2]),
                           target.layers[1](torch.ones(1, 2, 64), target.cos[:2], target.sin[:2]))  # fmt: skip
        assert torch.allclose(short(x), whole(x)[..., ids], atol=1e-6)
        assert torch.allclose(with_short_head(whole, ids)(x), short(x), atol=1e-6)
    with pytest.raises(TrainerError, match="layers 0 to 1"):
        cut(target, [0, 2], 64, None)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", [1, 7, 11])
def test_training_resumes_exactly(killed_at: int, tmp_path: Path) -> None:
    """Cut off at any step, also inside the quantised end, the weights are bit for bit those of one run."""
    schedule = Schedule(
        steps=12, warmup=2, lr=1e-2, lr_embeddings=1e-2, checkpoint_s=-1,
        quantisation=Quantisation(8, 4, 8), quantise_from=0.67,
    )  # fmt: skip

    def run(folder: Path, stop: int | None) -> dict[str, torch.Tensor]:
        model = random_model(SMALL)

        def loss_at(step: int) -> tuple[torch.Tensor, int]:
            if step == stop:
                raise KilledError
            ids = torch.randint(0, 97, (2, 9), generator=torch.Generator().manual_seed(step))
            return torch.nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()), 16

        train(model, loss_at, schedule, folder, Progress("test"))
        return model.state_dict()

    wanted = run(tmp_path / "one", None)
    with pytest.raises(KilledError):
        run(tmp_path / "two", killed_at)
    got = run(tmp_path / "two", None)
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)
    first = random_model(SMALL).state_dict()
    assert not torch.equal(wanted["norm.weight"], first["norm.weight"])


def test_a_loss_that_is_not_finite_stops_with_a_word(tmp_path: Path) -> None:
    model = random_model(SMALL)
    schedule = Schedule(steps=3, warmup=1, lr=1e-3, lr_embeddings=1e-3)
    nowhere = torch.tensor(float("nan"), requires_grad=True)
    with pytest.raises(TrainerError, match="loss is nan at step 1"):
        train(model, lambda _: (nowhere, 1), schedule, tmp_path, Progress("test"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_cpu_is_taken_unless_a_gpu_is_asked_for() -> None:
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    with pytest.raises(TrainerError, match="sees no GPU"):
        device_of("cuda")


def test_rounding_a_model_for_good_is_what_it_pretended() -> None:
    bits = Quantisation(8, 4, 8)
    pretending, rounded = random_model(SMALL), random_model(SMALL)
    pretending.pretend(bits)
    rounded.round(bits)
    x = torch.arange(12)[None]
    with torch.inference_mode():
        assert torch.equal(rounded(x), pretending(x))
        assert not torch.equal(rounded(x), random_model(SMALL)(x))


def test_accepted_lengths() -> None:
    yes, no = True, False
    assert rounds([yes] * 10, 4) == [4, 4]
    assert rounds([no] * 6, 4) == [0, 0]
    assert rounds([yes, yes, no, yes, no, yes, yes, yes, yes, yes], 4) == [2, 1, 4]
