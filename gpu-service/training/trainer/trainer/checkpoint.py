"""Hugging Face folders in and out: config.json and model.safetensors of the Llama family."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.config_json import config_json, parse_config
from trainer.errors import TrainerError
from trainer.folders import write_text
from trainer.llama import Llama, LlamaConfig
from trainer.short_head import lengthened, read_head_ids, shortened, write_generation_config

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


def read_model(folder: Path, dtype: torch.dtype = torch.float32) -> Llama:
    """The model of a Hugging Face folder, in evaluation mode."""
    config = read_config(folder)
    model = Llama(config)
    weights = {name.removeprefix("model."): tensor for name, tensor in read_weights(folder).items()}
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith("rotary_emb.inv_freq")}
    if config.tied:
        weights.pop("lm_head.weight", None)
    if config.head_rows is not None and "lm_head.weight" in weights:
        weights = shortened(weights, read_head_ids(folder, config.head_rows, config.vocab))
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
    """config.json and model.safetensors, as transformers loads them; of a short head also generation_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    if model.head_ids is not None:
        weights = lengthened(weights, model.c.vocab)
        write_generation_config(folder, eos_ids, model.head_ids, model.c.vocab)
    named = {
        name if name.startswith("lm_head") else f"model.{name}": tensor.to(dtype).contiguous()
        for name, tensor in weights.items()
    }
    beside = folder / f".{WEIGHTS_FILE}.part"
    save_file(named, beside, {"format": "pt"})
    os.replace(beside, folder / WEIGHTS_FILE)
    config = config_json(model.c, eos_ids, str(dtype).removeprefix("torch."))
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
