"""Reading a GGUF file of the Llama architecture into a `LlamaCheckpoint`."""

from pathlib import Path
from typing import TypeVar

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, ReaderTensor
from gguf.quants import dequantize

from checkpoints.checkpoint import F32, U8, LlamaCheckpoint, QuantizedRows, TokenizerFiles
from checkpoints.digest import sha256_of
from checkpoints.errors import CheckpointError
from checkpoints.gguf_config import llama_config
from checkpoints.gguf_tokenizer import tokenizer_files
from checkpoints.llama import EMBEDDING, FINAL_NORM, HEAD, LlamaConfig, check_tensors, expected_shapes, layer_names
from checkpoints.tokenizer import vocabulary_within

BLOCK = 32
# Types whose blocks `MatMulNBits` can hold as they are, and their bits.
_NATIVE_BITS = {GGMLQuantizationType.Q8_0: 8, GGMLQuantizationType.Q4_0: 4, GGMLQuantizationType.Q4_1: 4}
PLAIN_TYPES = {GGMLQuantizationType.F32, GGMLQuantizationType.F16}
GGUF_LAYER_NAMES = {
    "attention_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "output": "attn_output",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
Array = TypeVar("Array", F32, U8)


def read_gguf(path: Path, tokenizer: TokenizerFiles | None = None) -> LlamaCheckpoint:
    """The checkpoint in `path`; `tokenizer` replaces the one in its metadata. Errors: CheckpointError."""
    try:
        reader = GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, KeyError, IndexError, OverflowError, OSError) as error:
        raise CheckpointError(f"{path}: not a GGUF file, or a damaged one ({error})") from error
    where = str(path)
    tensors = {_hugging_face_name(tensor.name): tensor for tensor in reader.tensors}
    factors = tensors.pop("rope_freqs.weight", None)
    config = llama_config(where, fields, factors, tied=HEAD not in tensors)
    tokenizer = tokenizer or tokenizer_files(where, fields)
    if EMBEDDING not in tensors:
        raise CheckpointError(f"{where}: tensor token_embd.weight is missing")
    rows = int(tensors[EMBEDDING].shape[1])
    shapes = {name: tuple(int(n) for n in reversed(tensor.shape)) for name, tensor in tensors.items()}
    check_tensors(where, expected_shapes(config, rows), shapes)
    source = {
        "kind": "gguf",
        "name": fields.get("general.name", path.stem),
        "licence": fields.get("general.license"),
        "files": {path.name: sha256_of(path)},
        "vocab_rows": rows,
    }
    return LlamaCheckpoint(
        vocabulary_within(where, config, rows, tokenizer), tokenizer, _Tensors(config, tensors), source
    )


class _Tensors:
    """Tensors of a GGUF file under their Hugging Face names, in the Hugging Face layout."""

    def __init__(self, config: LlamaConfig, tensors: dict[str, ReaderTensor]) -> None:
        self._config = config
        self._tensors = tensors

    def read(self, name: str) -> F32:
        tensor = self._tensors[name]
        shape = tuple(int(n) for n in reversed(tensor.shape))
        if tensor.tensor_type in PLAIN_TYPES:
            values = np.asarray(tensor.data, np.float32)
        else:
            values = dequantize(tensor.data, tensor.tensor_type)
        return self._rows(name, values.reshape(shape))

    def native_blocks(self, name: str, bits: int) -> QuantizedRows | None:
        tensor = self._tensors[name]
        if _NATIVE_BITS.get(tensor.tensor_type) != bits:
            return None
        columns, rows = (int(n) for n in tensor.shape)
        blocks = np.ascontiguousarray(tensor.data).view(np.uint8).reshape(rows * columns // BLOCK, -1)

        def halves(at: int) -> F32:
            values = np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)
            return self._rows(name, values.reshape(rows, -1))

        scales, offsets, quants = halves(0), None, blocks[:, 2:]
        if tensor.tensor_type == GGMLQuantizationType.Q4_1:
            # The format counts its quants from the block's smallest value, not from the middle.
            offsets, quants = halves(2) + 8 * scales, blocks[:, 4:]
        unpacked = _unpack_8(quants) if bits == 8 else _unpack_4(quants)
        return QuantizedRows(bits, self._rows(name, unpacked.reshape(rows, columns)), scales, offsets)

    def _rows(self, name: str, matrix: Array) -> Array:
        """GGUF interleaves the two halves of each query and key head; RoPE here wants them one after the other."""
        if name.endswith("q_proj.weight"):
            return _halves(matrix, self._config.heads)
        if name.endswith("k_proj.weight"):
            return _halves(matrix, self._config.kv_heads)
        return matrix


def _halves(matrix: Array, heads: int) -> Array:
    pairs = matrix.reshape(heads, -1, 2, matrix.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(matrix.shape)


def _unpack_8(quants: U8) -> U8:
    return quants ^ np.uint8(0x80)  # two's complement to an offset of 128


def _unpack_4(quants: U8) -> U8:
    return np.concatenate([quants & np.uint8(0x0F), quants >> np.uint8(4)], axis=1)


def _hugging_face_name(name: str) -> str:
    known = {"token_embd.weight": EMBEDDING, "output_norm.weight": FINAL_NORM, "output.weight": HEAD}
    if name in known:
        return known[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[1].isdigit() and parts[3] == "weight":
        for short, gguf_name in GGUF_LAYER_NAMES.items():
            if parts[2] == gguf_name:
                return layer_names(int(parts[1]))[short]
    return name
