"""A row's logits are the same bits whatever shares the step: batch companions, chunks, threads, graph widths."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_folders import KNOWN_IDS, save_model
from processors import single_rows_are_exact
from slots_runner import F32, SlotsRunner

from checkpoints.hugging_face import read_folder
from checkpoints.target_folder import write_target

FORMATS = ["fp32", "int8", "int4", "w8a8"]
SHAPES: dict[str, dict[str, Any]] = {
    "grouped": {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3},
    "multi-head": {"hidden_size": 768, "intermediate_size": 2048, "num_attention_heads": 12, "num_key_value_heads": 12},
}
RANDOM = np.random.default_rng(5)
IDS = [int(i) for i in RANDOM.integers(2, KNOWN_IDS, 90)]
OTHERS = [[int(i) for i in RANDOM.integers(2, KNOWN_IDS, 60)] for _ in range(8)]


@pytest.fixture(scope="module", params=SHAPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp(request.param)
    save_model(models / "source", {**SHAPES[request.param], "initializer_range": 0.05})
    write_target(read_folder(models / "source"), models, "target", FORMATS, print)
    return models / "target"


def _chunked(runner: SlotsRunner, sizes: list[int]) -> F32:
    """All logits of IDS, fed in chunks of the sizes given, the last size over and over."""
    cache, logits, at = runner.empty(), [], 0
    while at < len(IDS):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        logits += runner.step([cache], [IDS[at : at + size]])
        at += size
    return np.concatenate(logits)


@pytest.mark.parametrize("weight_format", FORMATS)
def test_alone_in_chunks_and_on_other_thread_counts(folder: Path, weight_format: str) -> None:
    whole = _chunked(SlotsRunner(folder, weight_format), [len(IDS)])
    with_single_rows = [[1], [40, 1], [64, 5]] if single_rows_are_exact(weight_format) else []
    for threads in (1, 2):
        runner = SlotsRunner(folder, weight_format, threads=threads)
        for sizes in ([2], [3], [7, 16], *with_single_rows):
            np.testing.assert_array_equal(_chunked(runner, list(sizes)), whole, err_msg=f"{threads=} {sizes=}")


@pytest.mark.parametrize("slots", [2, 4, 8])
@pytest.mark.parametrize("weight_format", FORMATS)
def test_among_other_sequences(folder: Path, weight_format: str, slots: int) -> None:
    alone = _chunked(SlotsRunner(folder, weight_format), [len(IDS)])
    runner = SlotsRunner(folder, weight_format, slots)
    for place in (0, slots - 1):
        caches, mine = [runner.empty() for _ in range(slots)], []
        at, steps = 0, iter([50, 1, 4, 1, 8, 1])
        for size in steps:
            rows = [OTHERS[other][at : at + 1 + (at + other) % 4] or [2] for other in range(slots)]
            rows[place] = IDS[at : at + size]
            mine.append(runner.step(caches, rows)[place])
            at += size
        np.testing.assert_array_equal(np.concatenate(mine), alone[:at], err_msg=f"{place=}")


def test_quantised_formats_stay_near_fp32(folder: Path) -> None:
    exact = _chunked(SlotsRunner(folder, "fp32"), [len(IDS)])
    scale = exact.std()
    assert scale > 0.3
    for weight_format, share in (("int8", 0.06), ("int4", 0.4), ("w8a8", 0.06)):
        drift = np.abs(_chunked(SlotsRunner(folder, weight_format), [len(IDS)]) - exact).mean() / scale
        assert drift < share, f"{weight_format}: mean drift {drift:.3f} of the logits' spread"
