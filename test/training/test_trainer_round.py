"""Rounding to int4 that makes good for itself: less is lost than by rounding each weight alone, and it lasts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer.compensated import rounded_int4
from trainer.image import read_image, write_image
from trainer.llama import Llama
from trainer.progress import Progress
from trainer.quantise import Quantisation, dequantise, quantise
from trainer.round import round_draft
from trainer.texts import Text

INT4 = Quantisation(4, 4, 4)
SHAPE = replace(SMALL, head_dim=32, tied=False, head_rows=40)


def texts(count: int) -> list[Text]:
    """Of unequal length, so that some are padded."""
    r = np.random.default_rng(0)
    return [
        Text(
            domain="code",
            temperature=0.0,
            prompt=5,
            ids=r.integers(0, 97, 20 + n % 9).astype(np.int32),
            top_ids=np.zeros((15 + n % 9, 1), np.int32),
            top_logits=np.zeros((15 + n % 9, 1), np.float16),
            logsumexp=np.zeros(15 + n % 9, np.float32),
        )
        for n in range(count)
    ]


def drift(draft: Llama, wanted: torch.Tensor, ids: torch.Tensor) -> float:
    with torch.inference_mode():
        return float((draft(ids) - wanted).square().mean())


def test_a_matrix_gives_nearer_what_it_gave() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(400, 12) @ torch.randn(12, 64) + 0.1 * torch.randn(400, 64)
    weight = torch.randn(48, 64)

    def error(found: torch.Tensor) -> float:
        return float((inputs @ (found - weight).T).square().mean())

    found = rounded_int4(weight, inputs.T @ inputs)
    assert error(found) < 0.4 * error(dequantise(*quantise(weight, 4)))
    assert torch.equal(dequantise(*quantise(found, 4)), found)


def test_inputs_that_never_occur_do_no_harm() -> None:
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    found = rounded_int4(weight, torch.zeros(64, 64))
    assert (found - weight).abs().max() < 0.5


def test_a_draft_keeps_more_of_what_it_says(tmp_path: Path) -> None:
    given, ids = texts(64), torch.randint(0, 97, (8, 24), generator=torch.Generator().manual_seed(5))
    plain, compensated = random_model(SHAPE), random_model(SHAPE)
    with torch.inference_mode():
        wanted = plain(ids)
    plain.round(INT4)
    round_draft(compensated, given, INT4, Progress("round", silent=True))
    assert drift(compensated, wanted, ids) < 0.9 * drift(plain, wanted, ids)
    write_image(compensated, INT4, tmp_path / "model.draft")
    back = read_image(tmp_path / "model.draft").state_dict()
    for name, weight in compensated.state_dict().items():
        assert torch.equal(back[name], weight), name


@pytest.mark.parametrize("bits", [Quantisation(8, 4, 8), Quantisation(4, 8, 8)])
def test_matrices_of_eight_bits_are_rounded_as_ever(bits: Quantisation) -> None:
    plain, compensated = random_model(SHAPE), random_model(SHAPE)
    plain.round(bits)
    round_draft(compensated, texts(8), bits, Progress("round", silent=True))
    assert torch.equal(compensated.lm_head.weight, plain.lm_head.weight)
    assert torch.equal(compensated.embed_tokens.weight, plain.embed_tokens.weight)
    same = torch.equal(compensated.layers[0].mlp.up_proj.weight, plain.layers[0].mlp.up_proj.weight)
    assert same == (bits.body == 8)
