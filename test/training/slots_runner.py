"""A small, obvious way to run a target folder's graphs: what the verifier does, without its scheduling."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from checkpoints.manifest import load

HIDDEN = np.float32(-1e9)
F32 = npt.NDArray[np.float32]


@dataclass
class Cache:
    """Keys and values of one sequence: f32 [layers, length, kv_heads, head_dim]."""

    keys: F32
    values: F32

    @property
    def length(self) -> int:
        return int(self.keys.shape[1])


class SlotsRunner:
    """Runs steps of `slots` sequences at once."""

    def __init__(self, folder: Path, weight_format: str, slots: int = 1, threads: int = 2) -> None:
        manifest = load(folder)
        assert manifest is not None, f"{folder}: no manifest of this converter"
        self.shape: dict[str, Any] = manifest
        self.slots = slots
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other work shares the cores
        path = folder / weight_format / f"slots-{slots}.onnx"
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def empty(self) -> Cache:
        nothing = np.zeros((self.shape["layers"], 0, self.shape["kv_heads"], self.shape["head_dim"]), np.float32)
        return Cache(nothing, nothing)

    def step(self, caches: list[Cache], ids: list[list[int]]) -> list[F32]:
        """Logits f32 [rows, vocabulary] of each slot's new ids; the caches grow by those rows."""
        group = self.shape["heads"] // self.shape["kv_heads"]
        counts = [len(slot) for slot in ids]
        feeds: dict[str, npt.NDArray[Any]] = {
            "input_ids": np.asarray([i for slot in ids for i in slot], np.int64),
            "position_ids": np.concatenate([c.length + np.arange(n) for c, n in zip(caches, counts, strict=True)])[
                None
            ],
            "row_split": np.asarray(counts, np.int64),
            "logit_rows": np.arange(sum(counts), dtype=np.int64),
        }
        for slot, (cache, rows) in enumerate(zip(caches, counts, strict=True)):
            visible = np.tri(rows, cache.length + rows, cache.length, dtype=bool)
            feeds[f"bias_{slot}"] = np.repeat(np.where(visible, np.float32(0), HIDDEN), group, axis=0)[None]
            for layer in range(self.shape["layers"]):
                feeds[f"pk_{layer}_{slot}"] = cache.keys[layer]
                feeds[f"pv_{layer}_{slot}"] = cache.values[layer]
        names = {entry.name for entry in self._session.get_inputs()}
        new_k, new_v, logits = self._session.run(
            ["new_k", "new_v", "logits"], {name: value for name, value in feeds.items() if name in names}
        )
        bounds = np.cumsum([0, *counts])
        for slot, cache in enumerate(caches):
            mine = slice(bounds[slot], bounds[slot + 1])
            tail = (-1, counts[slot], self.shape["kv_heads"], self.shape["head_dim"])
            cache.keys = np.concatenate([cache.keys, new_k[:, mine].reshape(tail)], axis=1)
            cache.values = np.concatenate([cache.values, new_v[:, mine].reshape(tail)], axis=1)
        return [logits[bounds[slot] : bounds[slot + 1]] for slot in range(self.slots)]

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """The `count` most likely ids, one after the other, until one ends the text."""
        cache, ids = self.empty(), list(prompt)
        new = prompt
        while len(ids) < len(prompt) + count:
            new = [int(self.step([cache], [new])[0][-1].argmax())]
            ids += new
            if new[0] in self.shape["eos_ids"]:
                break
        return ids[len(prompt) :]
