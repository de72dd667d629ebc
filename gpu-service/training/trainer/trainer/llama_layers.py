"""What a Llama is made of: norms, attention with grouped queries, MLPs.

`forward` computes whole texts for training, `step` one more piece of them against a cache.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.layers import Linear
from trainer.llama_config import LlamaConfig


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


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in Hugging Face's layout: a pair is (i, i + head_dim / 2)."""
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat((-high, low), -1) * sin
