"""GGUF files of small models, written with the format's own library."""

from collections.abc import Callable
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize as gguf_quantize
from hub_folders import MERGES
from tokenizers import Tokenizer

from checkpoints.checkpoint import F32, LlamaCheckpoint
from checkpoints.llama import EMBEDDING, FINAL_NORM, layer_names

Q = GGMLQuantizationType
NAMES = {
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
Change = Callable[[GGUFWriter], None]


def _interleaved(matrix: F32, heads: int) -> F32:
    """Query and key rows in the order that the format has them (the two halves of each head, alternating)."""
    return matrix.reshape(heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)


def write_gguf(
    path: Path, source: LlamaCheckpoint, qtype: GGMLQuantizationType = Q.F32, change: Change | None = None
) -> Path:
    config = source.config
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_freq_base(config.rope.theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(config.eos_ids[0])
    tokenizer = Tokenizer.from_str(source.tokenizer.tokenizer_json.decode())
    tokens = [tokenizer.id_to_token(i) or "" for i in range(config.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])

    def add(name: str, values: F32) -> None:
        raw = gguf_quantize(values, qtype) if values.ndim == 2 and qtype != Q.F32 else values
        writer.add_tensor(name, raw, raw_dtype=qtype if values.ndim == 2 else None)

    add("token_embd.weight", source.read(EMBEDDING))
    add("output_norm.weight", source.read(FINAL_NORM))
    for layer in range(config.layers):
        for short, name in layer_names(layer).items():
            values = source.read(name)
            if short in ("q", "k"):
                values = _interleaved(values, config.heads if short == "q" else config.kv_heads)
            add(f"blk.{layer}.{NAMES[short]}.weight", values)
    if change:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
