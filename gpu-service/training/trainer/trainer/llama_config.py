"""The shape of a Llama."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainer.rope import Rope


@dataclass(frozen=True)
class LlamaConfig:
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int
    rope: Rope = field(default_factory=Rope)
    norm_eps: float = 1e-5
    tied: bool = True
    head_rows: int | None = None
    """Rows of an untied head that knows only some ids (`Llama.head_ids`); None: one row per id."""

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads do not divide into {self.kv_heads} key/value heads")
        if self.tied and self.head_rows is not None:
            raise ValueError("a short head cannot be tied to the embedding")
