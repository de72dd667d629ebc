"""What training a shape costs, by formula: parameters, operations per token, bytes per device."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.cross_entropy import ROWS as LOSS_ROWS
from trainer.llama import LlamaConfig

F32 = 4
BF16 = 2
OPTIMISER_BYTES = F32 + F32 + 2 * F32
"""Per parameter: weight, gradient, AdamW's two moments."""


@dataclass(frozen=True)
class Parameters:
    embedding: int
    layer: int
    layers: int
    head: int
    """Of an untied head; a tied one is the embedding."""
    norm: int

    @property
    def total(self) -> int:
        return self.embedding + self.layer * self.layers + self.head + self.norm


@dataclass(frozen=True)
class Memory:
    """Bytes of one process."""

    weights: float
    """Weights, gradients and moments that stay here."""
    gathered: float
    """Weights of other shards while they are computed with, and the copies in bfloat16."""
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return self.weights + self.gathered + self.activations + self.logits


def parameters(c: LlamaConfig) -> Parameters:
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    return Parameters(
        embedding=c.vocab * c.hidden,
        layer=2 * c.hidden * q + 2 * c.hidden * kv + 3 * c.hidden * c.ffn + 2 * c.hidden,
        layers=c.layers,
        head=0 if c.tied else (c.head_rows or c.vocab) * c.hidden,
        norm=c.hidden,
    )


def flops_per_token(c: LlamaConfig, sequence: int) -> float:
    """Forward and backward: 6 per weight that multiplies, and 12 s h d a layer for attention (Chowdhery et al. 2022).

    The embedding is looked up, not multiplied; the whole of the attention square counts, as is the custom.
    """
    p = parameters(c)
    multiplied = p.layer * p.layers + (c.head_rows or c.vocab) * c.hidden
    return 6.0 * multiplied + 12.0 * c.layers * c.heads * c.head_dim * sequence


def activation_bytes_per_token(c: LlamaConfig) -> float:
    """What autograd keeps of a token where matrices multiply in bfloat16 and attention keeps no square.

    A norm keeps its input and its result in float32 and its output in bfloat16; attention the queries, the repeated
    keys and values, and the mixed values; the feed-forward the gate, its SiLU, up, and their product.
    """
    q = c.heads * c.head_dim
    norm = (2 * F32 + BF16) * c.hidden
    return float(c.layers * (2 * norm + BF16 * (4 * q + 4 * c.ffn)) + norm)


def memory(c: LlamaConfig, tokens: int, processes: int, strategy: str) -> Memory:
    """Of one process that computes `tokens` at a time; `strategy` is `ddp` (all weights everywhere) or `fsdp`."""
    p = parameters(c)
    outside = p.embedding + p.head + p.norm
    shards = processes if strategy == "fsdp" else 1
    # Sharded: the parts outside of the layers stay gathered through the step, of the layers two at a time.
    gathered = F32 * (outside + 2 * p.layer) if shards > 1 else 0
    return Memory(
        weights=OPTIMISER_BYTES * p.total / shards,
        gathered=gathered + BF16 * p.total,
        activations=activation_bytes_per_token(c) * tokens,
        logits=min(tokens, LOSS_ROWS) * (c.head_rows or c.vocab) * (2 * F32 + BF16),
    )
