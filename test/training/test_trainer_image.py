"""The draft image: quantiser, layout of the cells against a slow and obvious decoder, whole files."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_trainer_llama import SMALL, random_model

from trainer import cells
from trainer.errors import TrainerError
from trainer.image import read_image, write_image
from trainer.llama import Llama
from trainer.quantise import Quantisation, dequantise, quantise

DRAFT = replace(SMALL, hidden=64, heads=2, kv_heads=1, head_dim=32, ffn=96)


def weights(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows))


def bfloat16_at(data: bytes, offset: int) -> float:
    return struct.unpack("<f", b"\0\0" + data[offset : offset + 2])[0]


def slow_value(data: bytes, columns: int, bits: int, row: int, column: int) -> float:
    """One weight by the description of the format, one step at a time."""
    cell_bytes = 544 if bits == 8 else 288
    cell = ((row // 16) * (columns // 32) + column // 32) * cell_bytes
    lane, c = row % 16, column % 32
    scale = bfloat16_at(data, cell + cell_bytes - 32 + 2 * lane)
    if bits == 8:
        return (data[cell + (c // 4) * 64 + lane * 4 + c % 4] - 64) * scale
    byte = data[cell + (c % 16 // 4) * 64 + lane * 4 + c % 4]
    return ((byte >> 4 if c >= 16 else byte & 15) - 8) * scale


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("rows", [16, 37])
def test_cells_hold_each_weight_where_the_format_says(bits: int, rows: int) -> None:
    quants, scales = quantise(weights(rows, 96), bits)
    data = cells.pack(quants, scales, bits)
    wanted = dequantise(quants, scales)
    assert len(data) == -(-rows // 16) * 3 * (544 if bits == 8 else 288)
    for row in range(rows):
        for column in range(96):
            assert slow_value(data, 96, bits, row, column) == wanted[row, column].item()
    padding = range(rows, -(-rows // 16) * 16)
    assert all(slow_value(data, 96, bits, row, column) == 0 for row in padding for column in range(96))
    back = cells.unpack(data, rows, 96, bits)
    assert torch.equal(back[0], quants)
    assert torch.equal(back[1], scales)


@pytest.mark.parametrize(("bits", "low", "high"), [(8, -63, 63), (4, -8, 7)])
def test_quants_stay_in_range_and_near(bits: int, low: int, high: int) -> None:
    matrix = weights(64, 128)
    matrix[3, 32:64] = 0
    matrix[5, 0] = 40.0
    quants, scales = quantise(matrix, bits)
    assert quants.min() >= low
    assert quants.max() <= high
    assert torch.equal(scales, scales.bfloat16().float())
    assert (dequantise(quants, scales)[3, 32:64] == 0).all()
    groups = matrix.reshape(64, 4, 32)
    off = (dequantise(quants, scales) - matrix).reshape(64, 4, 32)
    if bits == 8:
        assert (off.abs() <= groups.abs().amax(-1, keepdim=True) / 63 * 0.51 + 1e-9).all()
    else:
        largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))
        plain = (largest / -8).bfloat16().float()
        plain[plain == 0] = 1
        error = ((groups / plain).round().clamp(-8, 7) * plain - groups).square().sum(-1)
        assert (off.square().sum(-1) <= error + 1e-6).all()


@pytest.mark.parametrize("head_rows", [None, 40])
def test_an_image_computes_what_training_pretended(head_rows: int | None, tmp_path: Path) -> None:
    draft = random_model(replace(DRAFT, tied=head_rows is None, head_rows=head_rows))
    if head_rows:
        draft.head_ids.copy_(torch.arange(0, 80, 2))
    bits = Quantisation(body=8, embedding=4, head=8)
    write_image(draft, bits, tmp_path / "model.draft")
    data = (tmp_path / "model.draft").read_bytes()
    magic, version, header_bytes, size, offset = struct.unpack_from("<8sIIII", data)
    header = json.loads(data[32 : 32 + header_bytes])
    assert (magic, version, size, offset % 64) == (b"OUTDRAFT", 1, len(data), 0)
    assert not any(data[24:32])
    assert not any(data[32 + header_bytes : offset])
    assert all(tensor["offset"] % 64 == 0 and tensor["offset"] >= offset for tensor in header["tensors"])
    assert header["tensors"][0]["offset"] == offset
    assert header["head"] == {"rows": head_rows or 97, "tied": head_rows is None, "short": head_rows is not None}

    ids = torch.arange(20)[None]
    draft.pretend(bits)
    back = read_image(tmp_path / "model.draft")
    with torch.inference_mode():
        assert (back(ids) - draft(ids)).abs().max() < 1e-5
        draft.pretend(None)
        assert (back(ids) - draft(ids)).abs().max() > 1e-3
    if head_rows:
        assert torch.equal(back.head_ids, draft.head_ids)


def test_a_shape_that_no_kernel_runs_is_refused(tmp_path: Path) -> None:
    bits = Quantisation(8, 8, 8)
    with pytest.raises(TrainerError, match="head dimension 16"):
        write_image(Llama(SMALL), bits, tmp_path / "model.draft")
    with pytest.raises(TrainerError, match="ffn size 80"):
        write_image(Llama(replace(DRAFT, ffn=80)), bits, tmp_path / "model.draft")
    with pytest.raises(TrainerError, match="3 bits"):
        Quantisation(3, 8, 8)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.draft"
    write_image(random_model(DRAFT), Quantisation(8, 8, 8), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainerError, match="cut off"):
        read_image(path)
    path.write_bytes(b"GGUF" * 20)
    with pytest.raises(TrainerError, match="no draft image"):
        read_image(path)
