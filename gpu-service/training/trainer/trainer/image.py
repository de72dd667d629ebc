"""`model.draft`: which tensors of a draft the memory image of the edge's kernel holds, and a draft read back from one.

How they lie in the file is `image_file.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import cells
from trainer.errors import TrainerError
from trainer.folders import write_bytes
from trainer.image_file import Part, assemble, read_header, read_tensor
from trainer.llama import Llama, LlamaConfig
from trainer.quantise import GROUP, Quantisation, quantise
from trainer.rope import Rope, RopeScaling

HEAD_DIMS = (32, 64, 128)


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
