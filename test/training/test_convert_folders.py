"""Hugging Face folders: what a converted one computes, and what is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_folders import KNOWN_IDS, TEMPLATE, change_config, reference_logits, save_model
from safetensors.torch import load_file, save_file
from slots_runner import SlotsRunner

from checkpoints.errors import CheckpointError
from checkpoints.hugging_face import read_folder
from checkpoints.target_folder import write_target

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
IDS = [int(i) for i in np.random.default_rng(3).integers(2, KNOWN_IDS, 200)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untouched small model to copy."""
    folder = tmp_path_factory.mktemp("base") / "model"
    save_model(folder, {})
    return folder


@pytest.mark.parametrize(
    ("settings", "saving"),
    [
        pytest.param({}, {}, id="grouped-queries-tied"),
        pytest.param({"num_key_value_heads": 4, "tie_word_embeddings": False}, {}, id="multi-head-untied"),
        pytest.param({"rope_parameters": LLAMA3}, {}, id="llama3-scaling"),
        pytest.param({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}, {}, id="theta"),
        pytest.param({"head_dim": 32, "rms_norm_eps": 1e-3}, {}, id="head-dim-of-its-own"),
        pytest.param({"vocab_size": KNOWN_IDS + 62}, {}, id="padded-vocabulary"),
        pytest.param({"tie_word_embeddings": False}, {"shards": True, "dtype": "bfloat16"}, id="sharded-bfloat16"),
        pytest.param({"num_hidden_layers": 1}, {"dtype": "float16"}, id="float16"),
    ],
)
def test_logits_are_those_of_transformers(tmp_path: Path, settings: dict[str, Any], saving: dict[str, Any]) -> None:
    save_model(tmp_path / "model", settings, **saving)
    write_target(read_folder(tmp_path / "model"), tmp_path, "small", ["fp32"], print)
    expected = reference_logits(tmp_path / "model", IDS)[:, :KNOWN_IDS]
    runner = SlotsRunner(tmp_path / "small", "fp32")
    cache = runner.empty()
    logits = np.concatenate([runner.step([cache], [IDS[:150]])[0], runner.step([cache], [IDS[150:]])[0]])
    assert expected.std() > 0.3
    np.testing.assert_allclose(logits, expected, atol=1e-3, rtol=0)


def test_both_spellings_of_rope_are_read(base: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(base, older)
    scaling = {name: value for name, value in LLAMA3.items() if name not in ("rope_type", "rope_theta")}
    change_config(older, rope_parameters=None, rope_theta=500_000.0, rope_scaling={"type": "llama3", **scaling})
    newer = tmp_path / "newer"
    shutil.copytree(base, newer)
    change_config(newer, rope_parameters=LLAMA3)
    assert read_folder(older).config.rope == read_folder(newer).config.rope
    assert read_folder(older).config.rope.theta == 500_000.0


def test_what_generation_needs_is_taken_over(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 1]}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    checkpoint = read_folder(folder)
    assert checkpoint.config.eos_ids == (0, 1)
    assert checkpoint.config.vocab_size == KNOWN_IDS
    assert checkpoint.tokenizer.chat_template == TEMPLATE
    assert checkpoint.source["licence"] == "apache-2.0"


def _set(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: change_config(folder, **changes)


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def mutate(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return mutate


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _sentencepiece_only(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")


def _missing_shard(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _eos_outside(folder: Path) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 9999]}))


Q_BIAS = "model.layers.0.self_attn.q_proj.bias"


@pytest.mark.parametrize(
    ("mutate", "words"),
    [
        pytest.param(
            _set(architectures=["MistralForCausalLM"], model_type="mistral"), "MistralForCausalLM", id="mistral"
        ),
        pytest.param(_set(model_type="qwen2", architectures=None), "'qwen2'", id="qwen2"),
        pytest.param(_set(hidden_act="gelu"), "hidden_act 'gelu'", id="activation"),
        pytest.param(_set(attention_bias=True), "attention_bias", id="attention-bias"),
        pytest.param(_set(mlp_bias=True), "mlp_bias", id="mlp-bias"),
        pytest.param(_set(sliding_window=4096), "sliding_window", id="sliding-window"),
        pytest.param(_set(quantization_config={"quant_method": "gptq"}), "quantization_config", id="quantized"),
        pytest.param(_set(rope_parameters={"rope_type": "yarn", "factor": 4.0}), "'yarn'", id="yarn"),
        pytest.param(
            _set(rope_parameters=None, rope_scaling={"type": "linear", "factor": 2.0}), "'linear'", id="linear"
        ),
        pytest.param(_set(partial_rotary_factor=0.5), "partial_rotary_factor", id="partial-rope"),
        pytest.param(_set(num_key_value_heads=3), "cannot share 3", id="uneven-groups"),
        pytest.param(_set(head_dim=15), "head_dim 15", id="odd-head"),
        pytest.param(_set(num_hidden_layers=3), "model.layers.2.input_layernorm.weight is missing", id="layer-missing"),
        pytest.param(_set(num_hidden_layers="2"), "num_hidden_layers", id="not-a-number"),
        pytest.param(_set(intermediate_size=64), "has shape (96, 64)", id="wrong-shape"),
        pytest.param(_eos_outside, "eos id 9999", id="eos-outside"),
        pytest.param(_set(tie_word_embeddings=False), "lm_head.weight is missing", id="head-missing"),
        pytest.param(_tensors(lambda t: t.update({Q_BIAS: torch.zeros(64)})), f"bias {Q_BIAS}", id="stored-bias"),
        pytest.param(
            _tensors(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1})),
            "lm_head.weight differs",
            id="tied-but-different",
        ),
        pytest.param(
            _tensors(lambda t: t.update({"model.norm.weight": torch.ones(64, dtype=torch.int32)})),
            "model.norm.weight is I32",
            id="integer-weights",
        ),
        pytest.param(_remove("config.json"), "config.json is missing", id="no-config"),
        pytest.param(_remove("tokenizer.json"), "tokenizer.json missing", id="no-tokenizer"),
        pytest.param(_sentencepiece_only, "tokenizer.model alone", id="sentencepiece-only"),
        pytest.param(_remove("tokenizer_config.json"), "tokenizer_config.json is missing", id="no-tokenizer-config"),
        pytest.param(_remove("model.safetensors"), "neither model.safetensors nor", id="no-weights"),
        pytest.param(_pickled, "pickled", id="pickle"),
        pytest.param(_truncated, "damaged", id="truncated"),
        pytest.param(_missing_shard, "model-00002-of-00002.safetensors", id="missing-shard"),
    ],
)
def test_refused_by_name(base: Path, tmp_path: Path, mutate: Callable[[Path], None], words: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    mutate(folder)
    with pytest.raises(CheckpointError) as refusal:
        read_folder(folder)
    assert words in str(refusal.value)
    assert str(folder) in str(refusal.value)


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "model", {"vocab_size": KNOWN_IDS - 1})
    with pytest.raises(CheckpointError, match="the tokenizer names"):
        read_folder(tmp_path / "model")


@pytest.mark.parametrize("weight_format", ["int8", "int4"])
def test_sizes_that_blocks_cannot_hold_are_refused(tmp_path: Path, weight_format: str) -> None:
    save_model(tmp_path / "model", {"intermediate_size": 80})
    with pytest.raises(CheckpointError, match="multiple of 32 for ffn, not 80; use fp32"):
        write_target(read_folder(tmp_path / "model"), tmp_path, "small", [weight_format], print)
    assert not (tmp_path / "small").exists()
