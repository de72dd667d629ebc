"""`model.draft`: a draft as the memory image that the edge's kernel reads.

Bytes 0..7 "OUTDRAFT"; u32 format version at 8, header bytes at 12, file bytes at 16, data offset at 20; JSON from 32
on; zeros up to the data offset; then the tensors, each at a multiple of 64. Little endian throughout.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer import cells
from trainer.errors import TrainerError
from trainer.folders import write_bytes
from trainer.llama import Llama, LlamaConfig
from trainer.quantise import GROUP, Quantisation, dequantise, quantise
from trainer.rope import Rope, RopeScaling

MAGIC = b"OUTDRAFT"
FORMAT_VERSION = 1
ALIGNMENT = 64
PREAMBLE = struct.Struct("<8sIIIIQ")
HEAD_DIMS = (32, 64, 128)


@dataclass(frozen=True)
class Part:
    """One tensor of the image: its type is f32, int8, int4 or u32."""

    name: str
    type: str
    rows: int
    cols: int
    data: bytes


def write_image(draft: Llama, quantisation: Quantisation, path: Path) -> None:
    """TrainerError where the kernel cannot run the shape."""
    check_shape(draft.c)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, assemble(header_of(draft.c), parts_of(draft, quantisation)))


def check_shape(c: LlamaConfig) -> None:
    if c.head_dim not in HEAD_DIMS:
        raise TrainerError(f"head dimension {c.head_dim}: a draft image allows {', '.join(map(str, HEAD_DIMS))}")
    for name, size in {"hidden size": c.hidden, "ffn size": c.ffn, "attention width": c.heads * c.head_dim}.items():
        if size % GROUP:
            raise TrainerError(f"{name} {size} is not a multiple of {GROUP}, as a draft image needs")


def parts_of(draft: Llama, bits: Quantisation) -> list[Part]:
    weights = draft.state_dict()
    parts = [matrix("embedding", weights["embed_tokens.weight"], bits.embedding)]
    for index in range(draft.c.layers):
        layer = {n.removeprefix(f"layers.{index}."): w for n, w in weights.items() if n.startswith(f"layers.{index}.")}
        attention = [layer[f"self_attn.{name}_proj.weight"] for name in ("q", "k", "v")]
        gates = [layer["mlp.gate_proj.weight"], layer["mlp.up_proj.weight"]]
        parts += [
            vector(f"layers.{index}.attention_norm", layer["input_layernorm.weight"]),
            matrix(f"layers.{index}.qkv", torch.cat(attention), bits.body),
            matrix(f"layers.{index}.output", layer["self_attn.o_proj.weight"], bits.body),
            vector(f"layers.{index}.mlp_norm", layer["post_attention_layernorm.weight"]),
            matrix(f"layers.{index}.gate_up", torch.cat(gates), bits.body),
            matrix(f"layers.{index}.down", layer["mlp.down_proj.weight"], bits.body),
        ]
    parts.append(vector("norm", weights["norm.weight"]))
    if not draft.c.tied:
        parts.append(matrix("head", weights["lm_head.weight"], bits.head))
    if draft.head_ids is not None:
        ids = draft.head_ids.numpy().astype("<u4")
        parts.append(Part("head_ids", "u32", 1, len(ids), ids.tobytes()))
    return parts


def matrix(name: str, weight: Tensor, bits: int) -> Part:
    rows, cols = weight.shape
    return Part(name, f"int{bits}", rows, cols, cells.pack(*quantise(weight, bits), bits))


def vector(name: str, weight: Tensor) -> Part:
    return Part(name, "f32", 1, len(weight), weight.detach().float().numpy().astype("<f4").tobytes())


def header_of(c: LlamaConfig) -> dict[str, Any]:
    s = c.rope.scaling
    scaling = None
    if s is not None:
        scaling = {"type": "llama3", **vars(s)}
    shape = ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "context")
    return {
        "shape": {name: getattr(c, name) for name in shape},
        "norm_eps": c.norm_eps,
        "rope": {"theta": c.rope.theta, "scaling": scaling},
        "head": {"rows": c.head_rows or c.vocab, "tied": c.tied, "short": c.head_rows is not None},
    }


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


def read_image(path: Path) -> Llama:
    """The draft that an image holds, its weights those that the kernel multiplies with."""
    data = path.read_bytes()
    header = read_header(data, path)
    shape, head = header["shape"], header["head"]
    scaling = header["rope"]["scaling"]
    stretch = None if scaling is None else RopeScaling(**{k: v for k, v in scaling.items() if k != "type"})
    config = LlamaConfig(
        **shape, rope=Rope(header["rope"]["theta"], stretch), norm_eps=header["norm_eps"], tied=head["tied"]
    )
    config = replace(config, head_rows=head["rows"] if head["short"] else None)
    draft = Llama(config)
    draft.load_state_dict(weights_of({t["name"]: read_tensor(data, t) for t in header["tensors"]}, config))
    return draft.eval()


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


def weights_of(tensors: dict[str, Tensor], c: LlamaConfig) -> dict[str, Tensor]:
    """The image's names to the model's, fused matrices taken apart."""
    weights = {"embed_tokens.weight": tensors["embedding"], "norm.weight": tensors["norm"]}
    widths = [c.heads * c.head_dim, c.kv_heads * c.head_dim, c.kv_heads * c.head_dim]
    for index in range(c.layers):
        at = f"layers.{index}."
        q, k, v = torch.split(tensors[at + "qkv"], widths)
        gate, up = torch.split(tensors[at + "gate_up"], c.ffn)
        weights |= {
            at + "input_layernorm.weight": tensors[at + "attention_norm"],
            at + "self_attn.q_proj.weight": q,
            at + "self_attn.k_proj.weight": k,
            at + "self_attn.v_proj.weight": v,
            at + "self_attn.o_proj.weight": tensors[at + "output"],
            at + "post_attention_layernorm.weight": tensors[at + "mlp_norm"],
            at + "mlp.gate_proj.weight": gate,
            at + "mlp.up_proj.weight": up,
            at + "mlp.down_proj.weight": tensors[at + "down"],
        }
    if "head" in tensors:
        weights["lm_head.weight"] = tensors["head"]
    if "head_ids" in tensors:
        weights["head_ids"] = tensors["head_ids"]
    return weights
