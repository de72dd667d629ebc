"""What training will cost: by formula, against what was published and against what autograd keeps."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_trainer_llama import SMALL

from trainer.budget import Machines, plan_of
from trainer.cost import activation_bytes_per_token, flops_per_token, memory, parameters
from trainer.hardware import KNOWN, listed_in
from trainer.llama import Llama, LlamaConfig
from trainer.objective import NextToken
from trainer.places import planned_places
from trainer.plan import works_of
from trainer.recipe import read_recipe
from trainer.stages import parser_of

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "gpu-service/training/trainer"
RECIPES = ROOT / "gpu-service/training/recipes"
AMD = LlamaConfig(
    layers=12, hidden=768, heads=12, kv_heads=12, head_dim=64, ffn=2048, vocab=32000, context=2048, tied=False
)
SIXTEEN = Machines(KNOWN["mi250"], 16, "fsdp", KNOWN["mi250"].mfu)


def works(name: str, tmp_path: Path) -> list:
    recipe = read_recipe(RECIPES / f"{name}.json")
    return works_of(recipe, planned_places(recipe, [tmp_path], tmp_path, tmp_path / "out"), parser_of)


@pytest.mark.parametrize("shape", [SMALL, replace(SMALL, tied=False), replace(SMALL, tied=False, head_rows=40), AMD])
def test_parameters_are_those_of_the_model(shape: LlamaConfig) -> None:
    with torch.device("meta"):
        model = Llama(shape)
    assert parameters(shape).total == sum(weight.numel() for weight in model.parameters())


def test_amd_135m_agrees_with_what_was_published(tmp_path: Path) -> None:
    """134,105,856 parameters; 670B tokens in 6 days on 4 nodes of 4 MI250: 1.29M tokens/s."""
    (work,) = works("amd-135m", tmp_path)
    assert work.shape == AMD
    assert parameters(work.shape).total == 134_105_856
    assert (work.batch, work.sequence) == (1024, 2048)
    assert work.tokens == pytest.approx(670e9, rel=1e-4)
    plan = plan_of(work, SIXTEEN)
    assert plan.hours / 24 == pytest.approx(6, rel=0.05)
    assert plan.tok_s == pytest.approx(1.29e6, rel=0.05)
    assert plan.fits


def test_amd_135m_code(tmp_path: Path) -> None:
    recipe = json.loads((RECIPES / "amd-135m-code.json").read_text())
    (base,) = [tmp_path / recipe["base"]]
    base.mkdir()
    config = {"model_type": "llama", "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12}
    config |= {"intermediate_size": 2048, "vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5}
    (base / "config.json").write_text(json.dumps(config))
    (work,) = works("amd-135m-code", tmp_path)
    assert work.shape == AMD
    assert (work.batch, work.sequence) == (320, 2048)
    assert work.tokens == pytest.approx(20e9, rel=1e-4)


def test_published_dials() -> None:
    """AdamW .9/.95, decay .1, clip 1 are the trainer's own; the rest stands in the recipes."""
    names = ("amd-135m", "amd-135m-code")
    dials = {name: json.loads((RECIPES / f"{name}.json").read_text())["stages"][-1] for name in names}
    assert [dials["amd-135m"][key] for key in ("lr", "lr-last", "warmup")] == [6e-4, 6e-5, 2000]
    assert [dials["amd-135m-code"][key] for key in ("lr", "lr-last")] == [3e-4, 3e-5]
    assert all(entry["strategy"] == "fsdp" for entry in dials.values())


@pytest.mark.parametrize("shape", [SMALL, replace(SMALL, layers=5, kv_heads=4, ffn=160), replace(SMALL, head_dim=32)])
def test_activations_are_what_autograd_keeps(shape: LlamaConfig) -> None:
    """Within a twentieth: what one number a token takes is left out of the formula."""
    model, kept = Llama(replace(shape, context=512)), {}
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel() >= 512 * 16 and 512 in tensor.shape:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.hidden(torch.zeros(1, 512, dtype=torch.long))
    assert activation_bytes_per_token(shape) * 512 == pytest.approx(sum(kept.values()), rel=0.05)


def test_sharding_divides_what_is_kept() -> None:
    whole, shared = memory(AMD, 4096, 16, "ddp"), memory(AMD, 4096, 16, "fsdp")
    assert whole.weights == 16 * 134_105_856
    assert shared.weights == whole.weights / 16
    assert shared.activations == whole.activations
    assert flops_per_token(AMD, 2048) == pytest.approx(0.884e9, rel=0.01)


def test_cards_are_known_by_what_drivers_call_them() -> None:
    assert listed_in("NVIDIA H100 80GB HBM3") == KNOWN["h100"]
    assert listed_in("AMD Instinct MI250X") == KNOWN["mi250"]
    assert listed_in("NVIDIA GeForce RTX 4090") == KNOWN["rtx4090"]
    assert listed_in("NVIDIA T4") is None


def test_next_token_loss_is_cross_entropy() -> None:
    """The head's loss in pieces, against autograd on all logits; targets that are ignored do not count."""
    torch.manual_seed(0)
    model = Llama(replace(SMALL, tied=False))
    ids = torch.randint(0, 97, (3, 20))
    ids[1, 12:] = -100
    loss = NextToken(model)(ids)
    loss.backward()
    got = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    wanted = torch.nn.functional.cross_entropy(model(ids[:, :-1].clamp(min=0)).flatten(0, 1), ids[:, 1:].flatten())
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=5e-3)
    for name, weight in model.named_parameters():
        assert (got[name] - weight.grad).norm() < 0.03 * weight.grad.norm() + 1e-5, name


def test_the_command_prints_a_plan(tmp_path: Path) -> None:
    words = ["plan", "--recipe", RECIPES / "amd-135m.json", "--models", tmp_path]
    words += ["--hardware", "mi250", "--devices", 16]
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, words)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for told in ("134,105,856", "319,481 steps of 1,024 x 2,048", "32 processes, fsdp", "(6.0 days)"):
        assert told in done.stdout
