"""Hugging Face folders in and out: config.json and model.safetensors of the Llama family.

What this trainer cannot represent (biases, another architecture, an unknown stretching of rotary positions) is
refused by name.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.llama import Llama, LlamaConfig
from trainer.rope import Rope, RopeScaling

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"


def read_config(folder: Path) -> LlamaConfig:
    """The shape that config.json describes; TrainerError names what is missing or unsupported."""
    path = folder / CONFIG_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainerError(f"{folder} is no Hugging Face folder: {CONFIG_FILE} is missing") from None
    except json.JSONDecodeError as error:
        raise TrainerError(f"{path} is not JSON: {error}") from None
    return parse_config(raw, str(path))


def parse_config(raw: dict[str, Any], where: str) -> LlamaConfig:
    if raw.get("model_type") != "llama":
        raise TrainerError(f"{where}: model_type is {raw.get('model_type')!r}; only Llama-family models are supported")
    for key in ("attention_bias", "mlp_bias"):
        if raw.get(key):
            raise TrainerError(f"{where}: {key} is set; biases are not supported")
    if raw.get("hidden_act", "silu") != "silu":
        raise TrainerError(f"{where}: hidden_act is {raw['hidden_act']!r}; only 'silu' is supported")
    try:
        hidden, heads = int(raw["hidden_size"]), int(raw["num_attention_heads"])
        return LlamaConfig(
            layers=int(raw["num_hidden_layers"]),
            hidden=hidden,
            heads=heads,
            kv_heads=int(raw.get("num_key_value_heads") or heads),
            head_dim=int(raw.get("head_dim") or hidden // heads),
            ffn=int(raw["intermediate_size"]),
            vocab=int(raw["vocab_size"]),
            context=int(raw.get("max_position_embeddings", 2048)),
            rope=parse_rope(raw, where),
            norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
            tied=bool(raw.get("tie_word_embeddings", False)),
            head_rows=raw.get("short_head_rows"),
        )
    except KeyError as error:
        raise TrainerError(f"{where}: {error.args[0]} is missing") from None


def parse_rope(raw: dict[str, Any], where: str) -> Rope:
    """Both spellings: transformers 5 (`rope_parameters`) and before (`rope_theta`, `rope_scaling`)."""
    own = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    theta = float(own.get("rope_theta") or raw.get("rope_theta") or 10_000.0)
    kind = own.get("rope_type") or own.get("type") or "default"
    if kind == "default":
        return Rope(theta)
    if kind != "llama3":
        raise TrainerError(f"{where}: rope type {kind!r} is not supported; only 'default' and 'llama3' are")
    return Rope(
        theta,
        RopeScaling(
            factor=float(own["factor"]),
            low_freq_factor=float(own["low_freq_factor"]),
            high_freq_factor=float(own["high_freq_factor"]),
            original_context=int(own["original_max_position_embeddings"]),
        ),
    )


def read_model(folder: Path, dtype: torch.dtype = torch.float32) -> Llama:
    """The model of a Hugging Face folder, in evaluation mode."""
    config = read_config(folder)
    model = Llama(config)
    weights = {name.removeprefix("model."): tensor for name, tensor in read_weights(folder).items()}
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith("rotary_emb.inv_freq")}
    if config.tied:
        weights.pop("lm_head.weight", None)
    wanted, found = set(model.state_dict()), set(weights)
    if wanted != found:
        raise TrainerError(
            f"{folder}: the weights do not fit {CONFIG_FILE}: "
            f"missing {sorted(wanted - found)[:3]}, unknown {sorted(found - wanted)[:3]}"
        )
    for name, tensor in model.state_dict().items():
        if tensor.shape != weights[name].shape:
            raise TrainerError(
                f"{folder}: {name} is {list(weights[name].shape)}, {CONFIG_FILE} says {list(tensor.shape)}"
            )
    model.load_state_dict(weights)
    return model.to(dtype).eval()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of model.safetensors, or of the shards that its index names."""
    if (folder / INDEX_FILE).exists():
        shards = sorted(set(json.loads((folder / INDEX_FILE).read_text())["weight_map"].values()))
    elif (folder / WEIGHTS_FILE).exists():
        shards = [WEIGHTS_FILE]
    else:
        raise TrainerError(f"{folder}: {WEIGHTS_FILE} is missing")
    weights: dict[str, Tensor] = {}
    for shard in shards:
        with safe_open(folder / shard, framework="pt") as file:
            weights.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return weights


def write_model(model: Llama, folder: Path, eos_ids: list[int], dtype: torch.dtype = torch.bfloat16) -> None:
    """config.json and model.safetensors; transformers loads them unless the head is short (an extension of ours)."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name if name.startswith(("lm_head", "head_ids")) else f"model.{name}": tensor.detach().contiguous()
        for name, tensor in model.state_dict().items()
    }
    weights = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    beside = folder / f".{WEIGHTS_FILE}.part"
    save_file(weights, beside, {"format": "pt"})
    os.replace(beside, folder / WEIGHTS_FILE)
    write_text(folder / CONFIG_FILE, json.dumps(config_json(model.c, eos_ids), indent=2) + "\n")


def config_json(c: LlamaConfig, eos_ids: list[int]) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": c.rope.theta}
    if c.rope.scaling is not None:
        s = c.rope.scaling
        rope |= {
            "rope_type": "llama3",
            "factor": s.factor,
            "low_freq_factor": s.low_freq_factor,
            "high_freq_factor": s.high_freq_factor,
            "original_max_position_embeddings": s.original_context,
        }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": c.hidden,
        "intermediate_size": c.ffn,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "vocab_size": c.vocab,
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope.theta,
        "rope_parameters": rope,
        "rope_scaling": None if c.rope.scaling is None else {k: v for k, v in rope.items() if k != "rope_theta"},
        "tie_word_embeddings": c.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": eos_ids[0] if len(eos_ids) == 1 else eos_ids,
        "torch_dtype": "bfloat16",
        **({} if c.head_rows is None else {"short_head_rows": c.head_rows}),
    }
