"""A Llama's shape to and from a Hugging Face folder's config.json.

What this trainer cannot represent (biases, another architecture, an unknown stretching of rotary positions) is
refused by name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from checkpoints.errors import CheckpointError
from checkpoints.hugging_face_config import llama_config
from checkpoints.llama import Llama3Scaling
from checkpoints.llama import LlamaConfig as ConvertedConfig
from trainer.errors import TrainerError
from trainer.llama import LlamaConfig
from trainer.rope import Rope, RopeScaling

SHORT_HEAD = "short_head_rows"
"""Our extension: how many ids the head knows (`short_head.py`)."""


def parse_config(raw: dict[str, Any], where: str) -> LlamaConfig:
    """As the verifier's converter reads it, and our extension, the short head. Rows that pad the vocabulary count."""
    try:
        shape, vocab = llama_config(where, raw, {})
    except CheckpointError as error:
        raise TrainerError(str(error)) from None
    return replace(config_of(shape), vocab=vocab, head_rows=raw.get(SHORT_HEAD))


def config_of(shape: ConvertedConfig) -> LlamaConfig:
    """The converter's description of a shape as ours. TrainerError for positions that training cannot represent."""
    scaling = None
    if shape.rope.scaling is not None:
        if not isinstance(shape.rope.scaling, Llama3Scaling):
            raise TrainerError("rotary factors that are listed one by one cannot be trained from; take the original")
        scaling = RopeScaling(**vars(shape.rope.scaling))
    return LlamaConfig(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        ffn=shape.ffn,
        vocab=shape.vocab_size,
        context=shape.context,
        rope=Rope(shape.rope.theta, scaling),
        norm_eps=shape.norm_eps,
        tied=shape.tied,
    )


def config_json(c: LlamaConfig, eos_ids: list[int], dtype: str) -> dict[str, Any]:
    """`dtype`: that of the weights beside it, by PyTorch's name."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": c.rope.theta}
    if c.rope.scaling is not None:
        s = c.rope.scaling
        rope |= {
            "rope_type": "llama3",
            "factor": s.factor,
            "low_freq_factor": s.low_freq_factor,
            "high_freq_factor": s.high_freq_factor,
            "original_max_position_embeddings": s.original_context,
        }
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": c.hidden,
        "intermediate_size": c.ffn,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "head_dim": c.head_dim,
        "vocab_size": c.vocab,
        "max_position_embeddings": c.context,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope.theta,
        "rope_parameters": rope,
        "rope_scaling": None if c.rope.scaling is None else {k: v for k, v in rope.items() if k != "rope_theta"},
        "tie_word_embeddings": c.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": eos_ids[0] if len(eos_ids) == 1 else eos_ids,
        "torch_dtype": dtype,
        **({} if c.head_rows is None else {SHORT_HEAD: c.head_rows}),
    }
