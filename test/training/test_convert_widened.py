"""A widened checkpoint is the same function, block by block, at the cost of a larger one."""

from pathlib import Path

import numpy as np
import pytest
from slots_runner import F32, SlotsRunner

from checkpoints.errors import CheckpointError
from checkpoints.hugging_face import read_folder
from checkpoints.llama import layer_names
from checkpoints.quantize import dequantize, quantize
from checkpoints.target_folder import write_target
from checkpoints.widened import widen

SOURCE = Path(__file__).resolve().parents[2] / "infra/models/tiny/target"
IDS = [int(i) for i in np.random.default_rng(3).integers(2, 200, 60)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    narrow = read_folder(SOURCE)
    for name, checkpoint in (("narrow", narrow), ("wide", widen(narrow, 4, 2))):
        write_target(checkpoint, models, name, ["fp32", "int8", "int4", "w8a8"], lambda _: None)
    return models


def _logits(folder: Path, weight_format: str) -> F32:
    runner = SlotsRunner(folder, weight_format)
    cache = runner.empty()
    return np.concatenate([runner.step([cache], [part])[0] for part in (IDS[:40], IDS[40:41], IDS[41:])])


@pytest.mark.parametrize(
    ("weight_format", "tolerance"), [("fp32", 1e-4), ("int8", 0.02), ("int4", 0.02), ("w8a8", 0.06)]
)
def test_the_function_is_kept(models: Path, weight_format: str, tolerance: float) -> None:
    """The weights' blocks are the same (in w8a8 they are rotated); sums over zeros and more lanes round otherwise."""
    narrow, wide = (_logits(models / name, weight_format) for name in ("narrow", "wide"))
    assert narrow.std() > 0.3
    assert np.abs(wide - narrow).mean() < tolerance * narrow.std()
    # Two ids as likely as each other may change places.
    assert (wide.argmax(axis=-1) == narrow.argmax(axis=-1)).mean() > 0.9


def test_shapes_norms_and_source() -> None:
    narrow = read_folder(SOURCE)
    wide = widen(narrow, 4, 2)
    assert (wide.config.hidden, wide.config.ffn) == (4 * narrow.config.hidden, 2 * narrow.config.ffn)
    assert (wide.config.heads, wide.config.kv_heads) == (4 * narrow.config.heads, 4 * narrow.config.kv_heads)
    assert wide.config.norm_eps == narrow.config.norm_eps / 4
    norm = layer_names(0)["mlp_norm"]
    np.testing.assert_array_equal(wide.read(norm)[: narrow.config.hidden], narrow.read(norm) / 2)
    assert not wide.read(norm)[narrow.config.hidden :].any()
    assert wide.source != narrow.source


@pytest.mark.parametrize("bits", [8, 4])
def test_blocks_of_zeros_are_zeros(bits: int) -> None:
    rows = quantize(np.zeros((3, 64), np.float32), bits)
    assert (rows.quants == 1 << (bits - 1)).all()
    assert not rows.scales.any()
    assert not dequantize(rows).any()


@pytest.mark.parametrize("factors", [(2, 1), (3, 1), (0, 1), (-4, 1), (4, 0)])
def test_other_factors_are_refused(factors: tuple[int, int]) -> None:
    with pytest.raises(CheckpointError, match="power of four"):
        widen(read_folder(SOURCE), *factors)
