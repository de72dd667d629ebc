"""What a `weights.bin` holds: every large tensor that the graphs of one weight format need, shared by all widths."""

from collections.abc import Callable

import numpy as np

from checkpoints.checkpoint import LlamaCheckpoint, QuantizedRows
from checkpoints.errors import CheckpointError
from checkpoints.llama import EMBEDDING, FINAL_NORM, HEAD, layer_names
from checkpoints.quantize import BLOCK, pack, quantize, quantize_whole_rows
from checkpoints.rope import tables
from checkpoints.rotated import rotate
from checkpoints.weights_file import Stored, WeightsWriter

W8A8 = "w8a8"  # weights and activations in 8 bits, a scale for each row of both: products of whole numbers
FORMAT_BITS = {"fp32": 32, "int8": 8, "int4": 4, W8A8: 8}
# Embedding and head keep 8 bits in the int4 format: they decide between tokens, and 4 bits there cost the most.
HEAD_FORMATS = {"fp32": "fp32", "int8": "int8", "int4": "int8", W8A8: W8A8}
Store = dict[str, Stored]


def write_weights(
    checkpoint: LlamaCheckpoint, weight_format: str, out: WeightsWriter, progress: Callable[[str], None]
) -> Store:
    """Everything the graphs of `weight_format` need, by initializer name.

    A matrix `m` becomes `m` f32 [columns, rows], or `m.quants` and `m.scales` as `MatMulNBits` takes them, and
    where its blocks are not symmetric `m.offsets` f32 [columns / 32, rows]. In w8a8 all but the embedding become
    `m.quants` u8 [columns, rows] and `m.scales` f32 [rows], of the rotated checkpoint.
    """
    if weight_format == W8A8:
        checkpoint = rotate(checkpoint)
    config = checkpoint.config
    if weight_format != "fp32":
        _check_blocks(weight_format, hidden=config.hidden)
    if weight_format in ("int8", "int4"):
        _check_blocks(weight_format, ffn=config.ffn, attention=config.heads * config.head_dim)
    store: Store = {}

    def keep(*tensors: Stored) -> None:
        store.update({tensor.name: tensor for tensor in tensors})

    cosines, sines = tables(config.rope, config.head_dim, config.context)
    keep(out.add("rope.cos", cosines), out.add("rope.sin", sines))
    keep(*_vocabulary(checkpoint, weight_format, out))
    keep(out.add("norm", checkpoint.read(FINAL_NORM)))
    for layer in range(config.layers):
        names, prefix = layer_names(layer), f"layers.{layer}."
        for norm in ("attention_norm", "mlp_norm"):
            keep(out.add(prefix + norm, checkpoint.read(names[norm])))
        for matrix, parts in (
            ("qkv", ["q", "k", "v"]),
            ("output", ["output"]),
            ("gate_up", ["gate", "up"]),
            ("down", ["down"]),
        ):
            keep(*_matrix(checkpoint, prefix + matrix, [names[part] for part in parts], weight_format, out))
        progress(f"{weight_format}: layer {layer + 1} of {config.layers}")
    return store


def _vocabulary(checkpoint: LlamaCheckpoint, weight_format: str, out: WeightsWriter) -> list[Stored]:
    """Embedding and head; one copy of the bytes serves both when they are tied."""
    head_format = HEAD_FORMATS[weight_format]
    bits = FORMAT_BITS[head_format]
    head_name = EMBEDDING if checkpoint.config.tied else HEAD
    if bits == 32:
        embedding = out.add("embedding", checkpoint.read(EMBEDDING))
        if checkpoint.config.tied:
            return [embedding, embedding.seen_as("head", embedding.shape)]
        return [embedding, out.add("head", checkpoint.read(HEAD))]
    embedding_blocks = _quantized(checkpoint, EMBEDDING, bits)
    quants = out.add("embedding.quants", embedding_blocks.quants)
    scales = out.add("embedding.scales", embedding_blocks.scales)
    if head_name == EMBEDDING:
        rows, columns = quants.shape
        return [
            quants,
            scales,
            quants.seen_as("head.quants", (rows, columns // BLOCK, BLOCK)),
            scales.seen_as("head.scales", scales.shape),
        ]
    return [quants, scales, *_matrix(checkpoint, "head", [HEAD], head_format, out)]


def _matrix(
    checkpoint: LlamaCheckpoint, name: str, sources: list[str], weight_format: str, out: WeightsWriter
) -> list[Stored]:
    """One matrix made of the rows of one or more tensors."""
    bits = FORMAT_BITS[weight_format]
    if bits == 32 or weight_format == W8A8:
        rows = np.concatenate([checkpoint.read(source) for source in sources])
        if bits == 32:
            return [out.add(name, np.ascontiguousarray(rows.T))]
        quants, scales = quantize_whole_rows(rows)
        return [out.add(name + ".quants", quants), out.add(name + ".scales", scales)]
    parts = [_quantized(checkpoint, source, bits) for source in sources]
    stored = [
        out.add(name + ".quants", np.concatenate([pack(part) for part in parts])),
        out.add(name + ".scales", np.concatenate([part.scales for part in parts])),
    ]
    if any(part.offsets is not None for part in parts):
        offsets = [np.zeros_like(part.scales) if part.offsets is None else part.offsets for part in parts]
        stored.append(out.add(name + ".offsets", np.ascontiguousarray(np.concatenate(offsets).T)))
    return stored


def _quantized(checkpoint: LlamaCheckpoint, name: str, bits: int) -> QuantizedRows:
    """The source's own quants where it has them: quantising twice would only lose."""
    return checkpoint.native_blocks(name, bits) or quantize(checkpoint.read(name), bits)


def _check_blocks(weight_format: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if size % BLOCK:
            raise CheckpointError(f"{weight_format} needs a multiple of {BLOCK} for {name}, not {size}; use fp32")
