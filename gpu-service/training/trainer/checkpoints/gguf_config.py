"""Reading a GGUF file's metadata into a `LlamaConfig`; anything the graph cannot express is refused by name."""

from typing import Any, TypeVar

from gguf import ReaderTensor

from checkpoints.errors import CheckpointError
from checkpoints.llama import FrequencyFactors, LlamaConfig, Rope

Field = TypeVar("Field")


def llama_config(where: str, fields: dict[str, Any], factors: ReaderTensor | None, *, tied: bool) -> LlamaConfig:
    """The shape that the metadata `fields` describe; `factors` is the tensor rope_freqs. Errors: CheckpointError."""
    architecture = fields.get("general.architecture")
    if architecture != "llama":
        raise CheckpointError(f"{where}: architecture {architecture!r}; only llama is supported")

    def of(kind: type[Field], name: str, default: Field | None = None) -> Field:
        value = fields.get(f"llama.{name}", default)
        if value is None:
            raise CheckpointError(f"{where}: metadata llama.{name} is missing")
        if isinstance(value, list):
            raise CheckpointError(f"{where}: llama.{name} differs from layer to layer; refused")
        return kind(value)  # type: ignore[call-arg]

    if of(int, "expert_count", 0) > 0:
        raise CheckpointError(f"{where}: a mixture of experts (llama.expert_count); only dense models are supported")
    if of(int, "attention.sliding_window", 0) > 0:
        raise CheckpointError(f"{where}: sliding-window attention (llama.attention.sliding_window) is not supported")
    if int(fields.get("split.count", 1)) > 1:
        raise CheckpointError(f"{where}: one part of a split GGUF; merge the parts into one file first")
    scaling = of(str, "rope.scaling.type", "none")
    if scaling != "none":
        raise CheckpointError(f"{where}: RoPE scaling {scaling!r}; supported: none, and llama3 (rope_freqs.weight)")
    if of(float, "rope.scale_linear", 1.0) != 1.0:
        raise CheckpointError(f"{where}: linear RoPE scaling (llama.rope.scale_linear) is not supported")

    hidden, heads = of(int, "embedding_length"), of(int, "attention.head_count")
    head_dim = of(int, "attention.key_length", hidden // heads)
    if of(int, "attention.value_length", head_dim) != head_dim:
        raise CheckpointError(f"{where}: value heads of another size than key heads are not supported")
    if of(int, "rope.dimension_count", head_dim) != head_dim:
        raise CheckpointError(f"{where}: partial RoPE (llama.rope.dimension_count below the head size) not supported")
    values = None if factors is None else FrequencyFactors(tuple(float(x) for x in factors.data))
    bos, eos = fields.get("tokenizer.ggml.bos_token_id"), fields.get("tokenizer.ggml.eos_token_id")
    eot = fields.get("tokenizer.ggml.eot_token_id")
    return LlamaConfig(
        layers=of(int, "block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=of(int, "attention.head_count_kv", heads),
        head_dim=head_dim,
        ffn=of(int, "feed_forward_length"),
        vocab_size=0,
        context=of(int, "context_length"),
        # GGUF stores an f32; the decimal it was rounded from is the model's own value.
        norm_eps=float(f"{of(float, 'attention.layer_norm_rms_epsilon'):.6g}"),
        rope=Rope(of(float, "rope.freq_base", 10_000.0), values),
        tied=tied,
        bos_id=None if bos is None else int(bos),
        eos_ids=tuple(dict.fromkeys(int(x) for x in (eos, eot) if x is not None)),
    )
