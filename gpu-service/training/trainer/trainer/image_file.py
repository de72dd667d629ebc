"""The file `model.draft`: tensors under one header, laid out as the edge's kernel has them in its memory.

Bytes 0..7 "OUTDRAFT"; u32 format version at 8, header bytes at 12, file bytes at 16, data offset at 20; JSON from 32
on; zeros up to the data offset; then the tensors, each at a multiple of 64. Little endian throughout.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer import cells
from trainer.errors import TrainerError
from trainer.quantise import dequantise

MAGIC = b"OUTDRAFT"
FORMAT_VERSION = 1
ALIGNMENT = 64
PREAMBLE = struct.Struct("<8sIIIIQ")


@dataclass(frozen=True)
class Part:
    """One tensor of the image: its type is f32, int8, int4 or u32."""

    name: str
    type: str
    rows: int
    cols: int
    data: bytes


def assemble(header: dict[str, Any], parts: list[Part]) -> bytes:
    """Offsets stand in the JSON whose length moves them: the data begins where a first guess of that length ends."""
    data_offset = aligned(PREAMBLE.size + len(encoded(header, parts, 1 << 32)))
    text = encoded(header, parts, data_offset)
    image = bytearray(text.rjust(PREAMBLE.size + len(text), b"\0"))
    for part in parts:
        image += bytes(-len(image) % ALIGNMENT if len(image) >= data_offset else data_offset - len(image)) + part.data
    PREAMBLE.pack_into(image, 0, MAGIC, FORMAT_VERSION, len(text), len(image), data_offset, 0)
    return bytes(image)


def encoded(header: dict[str, Any], parts: list[Part], data_offset: int) -> bytes:
    tensors, at = [], data_offset
    for part in parts:
        fields = {"name": part.name, "type": part.type, "rows": part.rows, "cols": part.cols}
        tensors.append({**fields, "offset": at, "bytes": len(part.data)})
        at = aligned(at + len(part.data))
    return json.dumps({**header, "tensors": tensors}, separators=(",", ":")).encode()


def aligned(size: int) -> int:
    return size + -size % ALIGNMENT


def read_header(data: bytes, path: Path) -> dict[str, Any]:
    if len(data) < PREAMBLE.size or data[:8] != MAGIC:
        raise TrainerError(f"{path} is no draft image")
    _, version, header_bytes, file_bytes, _, _ = PREAMBLE.unpack_from(data)
    if version != FORMAT_VERSION:
        raise TrainerError(f"{path}: format version {version}; this trainer reads {FORMAT_VERSION}")
    if file_bytes != len(data):
        raise TrainerError(f"{path} is cut off: {len(data)} bytes of {file_bytes}")
    header: dict[str, Any] = json.loads(data[PREAMBLE.size : PREAMBLE.size + header_bytes])
    return header


def read_tensor(data: bytes, entry: dict[str, Any]) -> Tensor:
    part = data[entry["offset"] : entry["offset"] + entry["bytes"]]
    if entry["type"] == "f32":
        return torch.from_numpy(np.frombuffer(part, "<f4").astype(np.float32))
    if entry["type"] == "u32":
        return torch.from_numpy(np.frombuffer(part, "<u4").astype(np.int64))
    bits = int(entry["type"].removeprefix("int"))
    return dequantise(*cells.unpack(part, entry["rows"], entry["cols"], bits))
