"""The shape of a Llama: the numbers that fix its graph, and the names and shapes of its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

from checkpoints.errors import CheckpointError

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
FINAL_NORM = "model.norm.weight"


@dataclass(frozen=True)
class Llama3Scaling:
    """RoPE scaling of Llama 3.1 and later, parameters as in `config.json`."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class FrequencyFactors:
    """RoPE scaling as GGUF stores it: each inverse frequency is divided by its factor; head_dim / 2 of them."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Rope:
    """Rotary position embedding, rotate-half layout."""

    theta: float
    scaling: Llama3Scaling | FrequencyFactors | None = None


@dataclass(frozen=True)
class LlamaConfig:
    """The numbers that fix the graph. `vocab_size` counts the ids the tokenizer knows, without padding rows."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab_size: int
    context: int
    norm_eps: float
    rope: Rope
    tied: bool
    bos_id: int | None
    eos_ids: tuple[int, ...]


def layer_names(layer: int) -> dict[str, str]:
    """Short name -> Hugging Face name of each tensor of one layer."""
    prefix = f"model.layers.{layer}."
    return {
        "attention_norm": prefix + "input_layernorm.weight",
        "q": prefix + "self_attn.q_proj.weight",
        "k": prefix + "self_attn.k_proj.weight",
        "v": prefix + "self_attn.v_proj.weight",
        "output": prefix + "self_attn.o_proj.weight",
        "mlp_norm": prefix + "post_attention_layernorm.weight",
        "gate": prefix + "mlp.gate_proj.weight",
        "up": prefix + "mlp.up_proj.weight",
        "down": prefix + "mlp.down_proj.weight",
    }


def expected_shapes(config: LlamaConfig, vocab_rows: int) -> dict[str, tuple[int, ...]]:
    """Every tensor a checkpoint of this shape has; `vocab_rows` includes padding."""
    hidden, queries, keys = config.hidden, config.heads * config.head_dim, config.kv_heads * config.head_dim
    per_layer: dict[str, tuple[int, ...]] = {
        "attention_norm": (hidden,),
        "q": (queries, hidden),
        "k": (keys, hidden),
        "v": (keys, hidden),
        "output": (hidden, queries),
        "mlp_norm": (hidden,),
        "gate": (config.ffn, hidden),
        "up": (config.ffn, hidden),
        "down": (hidden, config.ffn),
    }
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (vocab_rows, hidden), FINAL_NORM: (hidden,)}
    if not config.tied:
        shapes[HEAD] = (vocab_rows, hidden)
    for layer in range(config.layers):
        shapes |= {name: per_layer[short] for short, name in layer_names(layer).items()}
    return shapes


def check_tensors(where: str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a missing, misshapen or unknown tensor by name: an ignored bias would change every output."""
    for name, shape in expected.items():
        if name not in found:
            raise CheckpointError(f"{where}: tensor {name} is missing")
        if found[name] != shape:
            raise CheckpointError(f"{where}: tensor {name} has shape {found[name]}, the configuration says {shape}")
    for name in found:
        if name not in expected:
            kind = "bias" if name.endswith("bias") else "tensor"
            raise CheckpointError(f"{where}: {kind} {name} is not part of a plain Llama model; refused, not ignored")
