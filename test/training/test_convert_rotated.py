"""The w8a8 format: columns that stand out cost no precision, and rows of zeros are zeros."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hub_folders import KNOWN_IDS, save_model
from slots_runner import F32, SlotsRunner

from checkpoints.checkpoint import LlamaCheckpoint, QuantizedRows, TensorReader
from checkpoints.hugging_face import read_folder
from checkpoints.llama import EMBEDDING, layer_names
from checkpoints.rotated import hadamard_matrix, rotate
from checkpoints.target_folder import write_target

SHAPE = {"hidden_size": 192, "intermediate_size": 320, "num_attention_heads": 6, "num_key_value_heads": 2}
IDS = [int(i) for i in np.random.default_rng(9).integers(2, KNOWN_IDS, 70)]
SILENT_ID = IDS[30]


@dataclass(frozen=True)
class _Changed(TensorReader):
    source: LlamaCheckpoint
    changes: Mapping[str, F32]

    def read(self, name: str) -> F32:
        return self.changes.get(name, self.source.read(name))

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        return None


def _changed(source: LlamaCheckpoint) -> LlamaCheckpoint:
    """Two columns of the residual stream and of each feed-forward layer a hundred times as large; one id all zeros."""
    embedding = source.read(EMBEDDING).copy()
    embedding[:, [5, 77]] *= 100
    embedding[SILENT_ID] = 0
    changes = {EMBEDDING: embedding}
    for layer in range(source.config.layers):
        names = layer_names(layer)
        up, down = source.read(names["up"]).copy(), source.read(names["down"]).copy()
        up[[3, 200]] *= 100
        down[:, [3, 200]] /= 100
        changes |= {names["up"]: up, names["down"]: down}
    return replace(source, tensors=_Changed(source, changes))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> LlamaCheckpoint:
    folder = tmp_path_factory.mktemp("source")
    save_model(folder, {**SHAPE, "initializer_range": 0.05, "tie_word_embeddings": False})
    return _changed(read_folder(folder))


def _logits(folder: Path, weight_format: str) -> F32:
    runner = SlotsRunner(folder, weight_format)
    return runner.step([runner.empty()], [IDS])[0]


def test_columns_that_stand_out_cost_no_precision(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    write_target(checkpoint, tmp_path, "target", ["fp32", "w8a8"], print)
    exact, rounded = (_logits(tmp_path / "target", name) for name in ("fp32", "w8a8"))
    assert np.isfinite(rounded).all()
    assert np.abs(rounded - exact).mean() < 0.06 * exact.std()
    assert (rounded.argmax(axis=-1) == exact.argmax(axis=-1)).mean() > 0.8


def test_converting_again_gives_the_same_files(checkpoint: LlamaCheckpoint, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_target(checkpoint, tmp_path, name, ["w8a8"], print)
    one, two = (tmp_path / name / "w8a8" for name in ("one", "two"))
    assert {f.name: f.read_bytes() for f in one.iterdir()} == {f.name: f.read_bytes() for f in two.iterdir()}


def test_the_rotation_keeps_lengths_and_products(checkpoint: LlamaCheckpoint) -> None:
    rotated = rotate(checkpoint)
    before, after = checkpoint.read(EMBEDDING), rotated.read(EMBEDDING)
    np.testing.assert_allclose(after @ after[:9].T, before @ before[:9].T, rtol=1e-4, atol=1e-3)
    assert np.abs(after).max() < 0.5 * np.abs(before).max()


@pytest.mark.parametrize(("columns", "size"), [(1536, 64), (80, 16), (96, 32), (7, 1)])
def test_the_matrix_of_the_graph_is_orthogonal(columns: int, size: int) -> None:
    matrix = hadamard_matrix(columns)
    assert matrix.shape == (size, size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-6)
