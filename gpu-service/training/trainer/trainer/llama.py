"""The one Llama definition: plain PyTorch, scaled-dot-product attention, grouped queries, rotary positions.

Weight names follow Hugging Face's, so that `checkpoint.py` reads and writes its folders without a table.
Training calls `hidden` (all positions); generation calls `decode` with a `Cache`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.layers import Embedding, Linear
from trainer.quantise import Quantisation
from trainer.rope import Rope, rotary_tables


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


class Norm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class Attention(nn.Module):
    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.c = c
        self.q_proj = Linear(c.hidden, c.heads * c.head_dim)
        self.k_proj = Linear(c.hidden, c.kv_heads * c.head_dim)
        self.v_proj = Linear(c.hidden, c.kv_heads * c.head_dim)
        self.o_proj = Linear(c.heads * c.head_dim, c.hidden)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B,S,hidden] to queries [B,H,S,D], keys and values [B,KV,S,D]; queries and keys are rotated."""
        batch, steps, _ = x.shape
        shape = (batch, steps, -1, self.c.head_dim)
        q = self.q_proj(x).view(shape).transpose(1, 2)
        k = self.k_proj(x).view(shape).transpose(1, 2)
        v = self.v_proj(x).view(shape).transpose(1, 2)
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = self.project(x, cos, sin)
        group = self.c.heads // self.c.kv_heads
        if group > 1:
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def step(self, x: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, at: int, bias: Tensor) -> Tensor:
        """As `forward`, against a cache [B,KV,slots,D] whose slots `at`.. are filled here.

        The queries of one key/value head lie side by side as extra rows, so the cache is never repeated;
        `bias` is [B,1,group*S,window] over the cache's first slots.
        """
        q, k, v = self.project(x, cos, sin)
        batch, _, steps, _ = q.shape
        end, window = at + steps, bias.shape[-1]
        keys[:, :, at:end] = k
        values[:, :, at:end] = v
        rows = q.reshape(batch, self.c.kv_heads, -1, self.c.head_dim)
        mixed = F.scaled_dot_product_attention(rows, keys[:, :, :window], values[:, :, :window], attn_mask=bias)
        mixed = mixed.view(batch, self.c.heads, steps, self.c.head_dim)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(c.hidden, c.ffn)
        self.up_proj = Linear(c.hidden, c.ffn)
        self.down_proj = Linear(c.ffn, c.hidden)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = Norm(c.hidden, c.norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c.hidden, c.norm_eps)
        self.mlp = Mlp(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out

    def step(self, x: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, at: int, bias: Tensor) -> Tensor:
        x = x + self.self_attn.step(self.input_layernorm(x), cos, sin, keys, values, at, bias)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


def aligned(slots: int) -> int:
    """Slots come in eights: a GPU's attention wants its mask aligned so."""
    return slots + -slots % 8


class Cache:
    """Keys and values of a left-padded batch: [layers,B,KV,slots,D]; `pad` [B] slots in front belong to nobody."""

    def __init__(self, c: LlamaConfig, pad: Tensor, slots: int, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(
            c.layers, len(pad), c.kv_heads, aligned(slots), c.head_dim, dtype=dtype, device=pad.device
        )
        self.values = torch.zeros_like(self.keys)
        self.pad = pad

    def rows(self, keep: Tensor | slice) -> Cache:
        """The cache of some rows: a view for a slice, a copy for a mask."""
        part = Cache.__new__(Cache)
        part.keys, part.values, part.pad = self.keys[:, keep], self.values[:, keep], self.pad[keep]
        return part


class Llama(nn.Module):
    cos: Tensor
    sin: Tensor
    head_ids: Tensor | None

    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.c = c
        self.embed_tokens = Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = Norm(c.hidden, c.norm_eps)
        if not c.tied:
            self.lm_head = Linear(c.hidden, c.head_rows or c.vocab)
        short = c.head_rows is not None
        self.register_buffer("head_ids", torch.arange(c.head_rows or 0) if short else None, persistent=short)
        cos, sin = rotary_tables(c.rope, c.head_dim, c.context)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def initialise(self) -> None:
        """Fresh weights: normal of deviation 0.02, matrices that write to the residual scaled by its depth (GPT-2)."""
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * self.c.layers) ** 0.5 if residual else 0.02)

    @property
    def head(self) -> Tensor:
        """[head rows, hidden]."""
        return self.embed_tokens.seen() if self.c.tied else self.lm_head.seen()

    def pretend(self, quantisation: Quantisation | None) -> None:
        """Compute as if the weights were quantised (None: as they are). A tied head follows the embedding."""
        for module in self.layers.modules():
            if isinstance(module, Linear):
                module.bits = quantisation.body if quantisation else None
        self.embed_tokens.bits = quantisation.embedding if quantisation else None
        if not self.c.tied:
            self.lm_head.bits = quantisation.head if quantisation else None

    @torch.no_grad()
    def round(self, quantisation: Quantisation) -> None:
        """Put the quantised weights in the place of the weights, for good."""
        self.pretend(quantisation)
        for module in self.modules():
            if isinstance(module, Linear | Embedding) and module.bits is not None:
                module.weight.copy_(module.seen())
        self.pretend(None)

    def hidden(self, ids: Tensor) -> Tensor:
        """[B,S] ids to normed states [B,S,hidden]; runs in autocast's type where that is on."""
        x: Tensor = self.embed_tokens(ids)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        out: Tensor = self.norm(x)
        return out

    def forward(self, ids: Tensor) -> Tensor:
        """[B,S] ids to logits [B,S,head rows] (row r of a short head stands for id `head_ids[r]`)."""
        return F.linear(self.hidden(ids), self.head)

    @torch.inference_mode()
    def decode(self, ids: Tensor, cache: Cache, at: int) -> Tensor:
        """Put [B,S] ids at the cache's slots `at`..; the last slot's normed state [B,hidden]."""
        end = at + ids.shape[1]
        x: Tensor = self.embed_tokens(ids)
        slots = torch.arange(at, end, device=ids.device)
        position = (slots[None] - cache.pad[:, None]).clamp(min=0)
        cos, sin = self.cos[position][:, None].to(x.dtype), self.sin[position][:, None].to(x.dtype)
        seen = torch.arange(aligned(end), device=ids.device)[None, None]
        visible = (seen >= cache.pad[:, None, None]) & (seen <= slots[None, :, None])
        bias = torch.zeros(visible.shape, dtype=x.dtype, device=ids.device).masked_fill_(~visible, -1e4)
        bias = bias.repeat(1, self.c.heads // self.c.kv_heads, 1)[:, None]
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            x = layer.step(x, cos, sin, cache.keys[index], cache.values[index], at, bias)
        out: Tensor = self.norm(x[:, -1])
        return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in Hugging Face's layout: a pair is (i, i + head_dim / 2)."""
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin
