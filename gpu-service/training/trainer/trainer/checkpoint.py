"""Hugging Face folders in and out: config.json and model.safetensors of the Llama family.

What this trainer cannot represent (biases, another architecture, an unknown stretching of rotary positions) is
refused by name.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from checkpoints.errors import CheckpointError
from checkpoints.hugging_face_config import llama_config
from checkpoints.llama import Llama3Scaling
from checkpoints.llama import LlamaConfig as ConvertedConfig
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
    return parse_config(raw, str(folder))


def parse_config(raw: dict[str, Any], where: str) -> LlamaConfig:
    """As the verifier's converter reads it, and our extension, the short head. Rows that pad the vocabulary count."""
    try:
        shape, vocab = llama_config(where, raw, {})
    except CheckpointError as error:
        raise TrainerError(str(error)) from None
    return replace(config_of(shape), vocab=vocab, head_rows=raw.get("short_head_rows"))


def config_of(shape: ConvertedConfig) -> LlamaConfig:
    """The converter's description of a shape as ours. TrainerError for positions that training cannot represent."""
    scaling = None
    if shape.rope.scaling is not None:
        if not isinstance(shape.rope.scaling, Llama3Scaling):
            raise TrainerError("rotary factors that are listed one by one cannot be trained from; take the original")
        scaling = RopeScaling(**vars(shape.rope.scaling))
    return LlamaConfig(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        ffn=shape.ffn,
        vocab=shape.vocab_size,
        context=shape.context,
        rope=Rope(shape.rope.theta, scaling),
        norm_eps=shape.norm_eps,
        tied=shape.tied,
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
