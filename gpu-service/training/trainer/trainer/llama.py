"""The one Llama definition: plain PyTorch, scaled-dot-product attention, grouped queries, rotary positions.

Weight names follow Hugging Face's, so that `checkpoint.py` reads and writes its folders without a table.
Training calls `hidden` (all positions); generation calls `decode` with a `Cache`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.cache import Cache, aligned
from trainer.layers import Embedding, Linear
from trainer.llama_config import LlamaConfig
from trainer.llama_layers import Layer, Norm
from trainer.quantise import Quantisation, dequantise, quantise
from trainer.rope import rotary_tables

__all__ = ["Cache", "Llama", "LlamaConfig"]


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
                module.weight.copy_(dequantise(*quantise(module.weight, module.bits)))
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
