"""Our Llama against transformers': the same folder, the same logits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from checkpoints.hugging_face import read_folder
from trainer.checkpoint import read_model, write_model
from trainer.convert import model_of
from trainer.errors import TrainerError
from trainer.llama import Cache, Llama, LlamaConfig
from trainer.rope import Rope, RopeScaling
from trainer.tokenize import copy_tokenizer

SMALL = LlamaConfig(layers=2, hidden=64, heads=4, kv_heads=2, head_dim=16, ffn=96, vocab=97, context=64)
SHAPES = {
    "grouped queries": SMALL,
    "one head per head": replace(SMALL, kv_heads=4),
    "one key head": replace(SMALL, kv_heads=1),
    "untied": replace(SMALL, tied=False),
    "head dimension of its own": replace(SMALL, head_dim=32),
    "llama 3 positions": replace(SMALL, rope=Rope(500_000.0, RopeScaling(8.0, 1.0, 4.0, 16))),
}


def random_model(config: LlamaConfig, seed: int = 0) -> Llama:
    torch.manual_seed(seed)
    model = Llama(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, mean=0.0 if weight.dim() == 2 else 1.0, std=0.15)
    return model.eval()


@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_transformers(name: str, tmp_path: Path) -> None:
    model = random_model(SHAPES[name])
    write_model(model, tmp_path, [2], torch.float32)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.randint(0, 97, (3, 48), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = theirs(ids).logits
        assert (read_model(tmp_path)(ids) - wanted).abs().max() < 1e-5
        assert wanted.abs().max() > 1e-2


def test_transformers_loads_a_draft_with_a_short_head(tmp_path: Path) -> None:
    """Its logits on the head's rows, and it says no other id; saved again by transformers it is the same draft."""
    model = random_model(replace(SMALL, tied=False, head_rows=40))
    model.head_ids.copy_(torch.arange(3, 83, 2))
    write_model(model, tmp_path / "ours", [5], torch.float32)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    ids = torch.randint(0, 97, (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = model(ids)
        logits = theirs(ids).logits
    assert (logits[..., model.head_ids] - wanted).abs().max() < 1e-5
    written = theirs.generate(ids[:, :4], attention_mask=torch.ones(2, 4), do_sample=False, max_new_tokens=8)[:, 4:]
    assert torch.equal(written[:, 0], model.head_ids[model(ids[:, :4])[:, -1].argmax(-1)])
    assert set(written.flatten().tolist()) <= {*model.head_ids.tolist()}
    theirs.save_pretrained(tmp_path / "theirs")
    back = read_model(tmp_path / "theirs")
    assert torch.equal(back.head_ids, model.head_ids)
    assert torch.equal(back(ids), wanted)


@pytest.mark.parametrize("settings", [None, {}, {"suppress_tokens": [1, 2]}])
def test_a_short_head_whose_ids_are_lost_is_refused(settings: dict | None, tmp_path: Path) -> None:
    write_model(random_model(replace(SMALL, tied=False, head_rows=40)), tmp_path, [5])
    path = tmp_path / "generation_config.json"
    path.unlink() if settings is None else path.write_text(json.dumps(settings))
    with pytest.raises(TrainerError, match=r"generation_config\.json"):
        read_model(tmp_path)


@pytest.mark.parametrize("name", ["grouped queries", "llama 3 positions"])
def test_decoding_with_a_cache_equals_the_whole_pass(name: str) -> None:
    """Rows of unequal length, padded on the left, in two pieces and then one id at a time."""
    model = random_model(SHAPES[name])
    rows = [torch.arange(5, 25), torch.arange(40, 52)]
    longest = 20
    pad = torch.tensor([longest - len(row) for row in rows])
    padded = torch.stack([torch.cat((torch.zeros(longest - len(row), dtype=torch.long), row)) for row in rows])
    cache = Cache(model.c, pad, longest + 4, torch.float32)
    model.decode(padded[:, :9], cache, 0)
    states = [model.decode(padded[:, 9:], cache, 9)]
    more = torch.tensor([[3, 4, 5], [6, 7, 8]])
    states += [model.decode(more[:, i : i + 1], cache, longest + i) for i in range(3)]
    with torch.inference_mode():
        for index, row in enumerate(rows):
            wanted = model.hidden(torch.cat((row, more[index]))[None])[0, -4:]
            got = torch.stack([state[index] for state in states])
            assert (got - wanted).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "gpt2"}, "only LlamaForCausalLM"),
        ({"attention_bias": True}, "attention_bias"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "yarn"),
        ({"hidden_size": None}, "hidden_size"),
        ({"intermediate_size": 128}, "gate_proj"),
        ({"num_hidden_layers": 3}, "layers.2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict, named: str, tmp_path: Path) -> None:
    write_model(random_model(SMALL), tmp_path, [2])
    path = tmp_path / "config.json"
    config = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    with pytest.raises(TrainerError, match=named):
        read_model(tmp_path)


def test_the_converter_reads_the_same_model(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "infra/models/tiny/target"
    model = read_model(shipped)
    copy_tokenizer(shipped, tmp_path)
    write_model(model, tmp_path, [0, 2], torch.float32)
    ids = torch.arange(100, 140)[None]
    with torch.inference_mode():
        assert torch.equal(model_of(read_folder(tmp_path, None))(ids), model(ids))
