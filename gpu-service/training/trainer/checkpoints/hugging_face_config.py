"""`config.json` of a Llama model: every setting that changes the arithmetic is taken over or refused by name."""

from typing import Any

from checkpoints.errors import CheckpointError
from checkpoints.llama import Llama3Scaling, LlamaConfig, Rope

ARCHITECTURE = "LlamaForCausalLM"
Settings = dict[str, Any]


def llama_config(where: str, settings: Settings, generation: Settings) -> tuple[LlamaConfig, int]:
    """(shape, rows of the embedding); `vocab_size` of the shape is still open (0). Errors: CheckpointError."""
    _refuse_unknown(where, settings)

    def whole(name: str, default: int | None = None) -> int:
        value = settings.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"{where}: config.json: {name} is {value!r}, not a positive whole number")
        return value

    hidden, heads = whole("hidden_size"), whole("num_attention_heads")
    kv_heads = whole("num_key_value_heads", heads)
    head_dim = whole("head_dim", hidden // heads)
    if heads % kv_heads:
        raise CheckpointError(f"{where}: {heads} heads cannot share {kv_heads} key-value heads evenly")
    if head_dim % 2:
        raise CheckpointError(f"{where}: head_dim {head_dim} is odd, RoPE turns pairs")
    config = LlamaConfig(
        layers=whole("num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=whole("intermediate_size"),
        vocab_size=0,
        context=whole("max_position_embeddings", 2048),
        norm_eps=_number(where, settings, "rms_norm_eps", 1e-6),
        rope=_rope(where, settings),
        tied=bool(settings.get("tie_word_embeddings", False)),
        bos_id=_bos_id(settings, generation),
        eos_ids=_eos_ids(settings, generation),
    )
    return config, whole("vocab_size")


def _refuse_unknown(where: str, settings: Settings) -> None:
    architectures = settings.get("architectures") or []
    kind = settings.get("model_type")
    if kind != "llama" or (architectures and architectures != [ARCHITECTURE]):
        named = ", ".join(map(str, architectures)) or repr(kind)
        raise CheckpointError(f"{where}: architecture {named}; only {ARCHITECTURE} is supported")
    if settings.get("hidden_act", "silu") != "silu":
        raise CheckpointError(f"{where}: hidden_act {settings['hidden_act']!r}; only silu is supported")
    for name in ("attention_bias", "mlp_bias", "quantization_config", "sliding_window"):
        if settings.get(name):
            raise CheckpointError(f"{where}: {name} is set ({settings[name]!r}); not supported")


def _rope(where: str, settings: Settings) -> Rope:
    """Both spellings: `rope_theta` with `rope_scaling`, and the newer `rope_parameters` that holds both."""
    parameters: Settings = {**(settings.get("rope_scaling") or {}), **(settings.get("rope_parameters") or {})}
    theta = _number(where, {"rope_theta": settings.get("rope_theta"), **parameters}, "rope_theta", 10_000.0)
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    partial = parameters.get("partial_rotary_factor", settings.get("partial_rotary_factor"))
    if partial not in (None, 1, 1.0):
        raise CheckpointError(f"{where}: partial_rotary_factor {partial!r}; only whole heads are turned here")
    if kind == "default":
        return Rope(theta)
    if kind != "llama3":
        raise CheckpointError(f"{where}: RoPE scaling {kind!r}; supported: default, llama3")
    return Rope(
        theta,
        Llama3Scaling(
            factor=_number(where, parameters, "factor"),
            low_freq_factor=_number(where, parameters, "low_freq_factor"),
            high_freq_factor=_number(where, parameters, "high_freq_factor"),
            original_context=int(_number(where, parameters, "original_max_position_embeddings")),
        ),
    )


def _number(where: str, settings: Settings, name: str, default: float | None = None) -> float:
    value = settings.get(name)
    value = default if value is None else value
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
        raise CheckpointError(f"{where}: config.json: {name} is {value!r}, not a positive number")
    return float(value)


def _bos_id(settings: Settings, generation: Settings) -> int | None:
    value = generation.get("bos_token_id", settings.get("bos_token_id"))
    return None if value is None else int(value)


def _eos_ids(settings: Settings, generation: Settings) -> tuple[int, ...]:
    """What ends a text; the generation settings stand above the model's."""
    value = generation.get("eos_token_id")
    value = settings.get("eos_token_id") if value is None else value
    if value is None:
        return ()
    return tuple(int(one) for one in value) if isinstance(value, list) else (int(value),)
