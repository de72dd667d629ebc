"""Texts of a target with its logits, in safetensors shards: texts-00000.safetensors and so on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from trainer.errors import TrainerError


@dataclass(frozen=True)
class Text:
    """`ids` [prompt + response]; the other arrays have one row per response token."""

    domain: str
    temperature: float
    prompt: int
    ids: NDArray[np.int32]
    top_ids: NDArray[Any]
    top_logits: NDArray[np.float16]
    logsumexp: NDArray[np.float32]

    @property
    def response(self) -> int:
        return len(self.ids) - self.prompt


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"texts-{index:05d}.safetensors"


def write_shard(path: Path, texts: list[Text]) -> None:
    """Whole or not at all: written beside, then renamed."""
    domains = sorted({text.domain for text in texts})
    top_ids = np.concatenate([text.top_ids for text in texts])
    arrays = {
        "domain": np.array([domains.index(text.domain) for text in texts], np.int32),
        "temperature": np.array([text.temperature for text in texts], np.float32),
        "prompt": np.array([text.prompt for text in texts], np.int32),
        "length": np.array([len(text.ids) for text in texts], np.int32),
        "ids": np.concatenate([text.ids for text in texts]),
        "top_ids": top_ids.astype(np.uint16) if top_ids.max() < 1 << 16 else top_ids.astype(np.int32),
        "top_logits": np.concatenate([text.top_logits for text in texts]),
        "logsumexp": np.concatenate([text.logsumexp for text in texts]),
    }
    beside = path.with_suffix(".part")
    save_file(arrays, beside, {"domains": ",".join(domains)})
    os.replace(beside, path)


def read_shard(path: Path) -> list[Text]:
    with safe_open(path, framework="numpy") as file:
        domains = file.metadata()["domains"].split(",")
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    texts, id_at, row_at = [], 0, 0
    for domain, temperature, prompt, length in zip(
        arrays["domain"], arrays["temperature"], arrays["prompt"], arrays["length"], strict=True
    ):
        rows = slice(row_at, row_at + int(length - prompt))
        texts.append(
            Text(
                domain=domains[int(domain)],
                temperature=float(temperature),
                prompt=int(prompt),
                ids=arrays["ids"][id_at : id_at + int(length)],
                top_ids=arrays["top_ids"][rows],
                top_logits=arrays["top_logits"][rows],
                logsumexp=arrays["logsumexp"][rows],
            )
        )
        id_at, row_at = id_at + int(length), rows.stop
    return texts


def read_texts(folder: Path) -> list[Text]:
    """Every text of a folder's shards, in order of writing; TrainerError where there is none."""
    paths = sorted(folder.glob("texts-*.safetensors"))
    if not paths:
        raise TrainerError(f"{folder} holds no texts-*.safetensors: run stage `generate` first")
    return [text for path in paths for text in read_shard(path)]
