"""The verifier's graph: rows of several sequences packed together, one cache and one bias per sequence ("slot").

R rows in all, T_i of them in slot i, S_i cached positions there, G = heads / kv_heads, M rows with logits.
Inputs: input_ids i64 [R]; position_ids i64 [1, R]; row_split i64 [slots], the T_i; logit_rows i64 [M];
  bias_i f32 [1, T_i * G, S_i + T_i] (0 where visible; row t * G + g); per layer l: pk_l_i, pv_l_i f32 [S_i, KV, HD].
Outputs: new_k (rotated), new_v f32 [layers, R, KV * HD]; logits f32 [M, vocabulary].
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from checkpoints.graph import MICROSOFT, Dims, GraphBuilder
from checkpoints.llama import LlamaConfig
from checkpoints.products import Products
from checkpoints.weights_file import Stored


def slots_graph(config: LlamaConfig, weight_format: str, slots: int, stored: Mapping[str, Stored]) -> onnx.ModelProto:
    """The graph for a batch of `slots` sequences."""
    g = GraphBuilder(stored)
    return _SlotsGraph(config, slots, g, Products(g, weight_format)).build()


@dataclass(frozen=True)
class _SlotsGraph:
    config: LlamaConfig
    slots: int
    g: GraphBuilder
    products: Products

    @property
    def group(self) -> int:
        return self.config.heads // self.config.kv_heads

    def build(self) -> onnx.ModelProto:
        config, g = self.config, self.g
        ids = g.input("input_ids", "int64", ["R"])
        g.input("position_ids", "int64", [1, "R"])
        g.input("row_split", "int64", [self.slots])
        biases = [self._bias(slot) for slot in range(self.slots)]
        rows = self.products.embedding(ids)
        new_keys, new_values = [], []
        for layer in range(config.layers):
            prefix = f"layers.{layer}."
            queries, keys, values = self._projections(rows, prefix)
            new_keys.append(keys)
            new_values.append(values)
            attended = self._attention(layer, queries, keys, values, biases)
            rows = g.node("Add", [rows, self.products.of(attended, prefix + "output")])
            rows = g.node("Add", [rows, self._mlp(self._norm(rows, prefix + "mlp_norm"), prefix)])
        width = config.kv_heads * config.head_dim
        for name, parts in (("new_k", new_keys), ("new_v", new_values)):
            g.node("Concat", parts, name, axis=0)
            g.output(name, "float32", [config.layers, "R", width])
        wanted = g.node("Gather", [rows, g.input("logit_rows", "int64", ["M"])], axis=0)
        self.products.logits(self._norm(wanted, "norm"))
        g.output("logits", "float32", ["M", config.vocab_size])
        return g.model(f"slots-{self.slots}")

    def _bias(self, slot: int) -> str:
        """The slot's bias; with one row more (all zero) where attention gets a spare query row."""
        bias = self.g.input(f"bias_{slot}", "float32", [1, f"TG{slot}", f"U{slot}"])
        if self.group > 1:
            return bias
        return self.g.node("Pad", [bias, self.g.integers(0, 0, 0, 0, 1, 0)])

    def _projections(self, rows: str, prefix: str) -> tuple[str, str, str]:
        """Queries f32 [1, R, H * HD] and keys f32 [1, R, KV * HD], both rotated; values f32 [1, R, KV * HD]."""
        config, g = self.config, self.g
        qkv = self.products.of(self._norm(rows, prefix + "attention_norm"), prefix + "qkv")
        sizes = g.integers(*(n * config.head_dim for n in (config.heads, config.kv_heads, config.kv_heads)))
        q, k, v = g.nodes("Split", [qkv, sizes], [prefix + "q", prefix + "k", prefix + "v"], axis=1)

        def rotate(x: str, heads: int) -> str:
            tables = [g.weight("rope.cos"), g.weight("rope.sin"), "position_ids"]
            return g.node("RotaryEmbedding", [self._batched(x), *tables], num_heads=heads)

        return rotate(q, config.heads), rotate(k, config.kv_heads), self._batched(v)

    def _batched(self, x: str) -> str:
        return self.g.node("Unsqueeze", [x, self.g.integers(0)])

    def _attention(self, layer: int, queries: str, keys: str, values: str, biases: list[str]) -> str:
        """f32 [R, H * HD]; each slot's rows see that slot's cache and rows only."""
        config, g = self.config, self.g
        per_kv_head = g.integers(-1, config.kv_heads, config.head_dim)
        q = self._split(g.node("Reshape", [queries, g.integers(-1, config.heads, config.head_dim)]), f"q_{layer}")
        k = self._split(g.node("Reshape", [keys, per_kv_head]), f"k_{layer}")
        v = self._split(g.node("Reshape", [values, per_kv_head]), f"v_{layer}")
        outputs = []
        for slot in range(self.slots):
            dims: Dims = [f"S{slot}", config.kv_heads, config.head_dim]
            past_k = g.input(f"pk_{layer}_{slot}", "float32", dims)
            past_v = g.input(f"pv_{layer}_{slot}", "float32", dims)
            all_k = g.node("Concat", [past_k, k[slot]], axis=0)
            all_v = g.node("Concat", [past_v, v[slot]], axis=0)
            outputs.append(self._attend(q[slot], all_k, all_v, biases[slot]))
        return outputs[0] if self.slots == 1 else g.node("Concat", outputs, axis=0)

    def _split(self, x: str, name: str) -> list[str]:
        if self.slots == 1:
            return [x]
        return self.g.nodes("Split", [x, "row_split"], [f"{name}_{slot}" for slot in range(self.slots)], axis=0)

    def _attend(self, q: str, k: str, v: str, bias: str) -> str:
        """q f32 [T, H, HD], k and v f32 [S + T, KV, HD] -> f32 [T, H * HD].

        A matrix product with a single query row takes another kernel and rounds otherwise than the same row
        among others. With grouped queries there are always more; without, a spare zero row is added and cut off.
        """
        config, g = self.config, self.g
        if self.group == 1:
            q = g.node(
                "Concat", [q, g.constant("spare_row", np.zeros((1, config.heads, config.head_dim), np.float32))], axis=0
            )
        grouped = g.node("Reshape", [q, g.integers(-1, config.kv_heads, self.group, config.head_dim)])
        by_head = g.node("Transpose", [grouped], perm=[1, 0, 2, 3])
        q = g.node("Reshape", [by_head, g.integers(config.kv_heads, -1, config.head_dim)])
        scale = 1 / math.sqrt(config.head_dim)
        scores = g.node("FusedMatMul", [q, k], domain=MICROSOFT, transBatchB=1, transB=1, alpha=scale)
        weights = g.node("Softmax", [g.node("Add", [scores, bias])], axis=-1)
        mixed = g.node("FusedMatMul", [weights, v], domain=MICROSOFT, transBatchB=1)
        mixed = g.node("Reshape", [mixed, g.integers(config.kv_heads, -1, self.group, config.head_dim)])
        by_row = g.node("Transpose", [mixed], perm=[1, 0, 2, 3])
        if self.group == 1:
            by_row = g.node("Slice", [by_row, g.integers(0), g.integers(-1), g.integers(0)])
        return g.node("Reshape", [by_row, g.integers(-1, config.heads * config.head_dim)])

    def _mlp(self, x: str, prefix: str) -> str:
        g, ffn = self.g, self.config.ffn
        gate_up = self.products.of(x, prefix + "gate_up")
        gate, up = g.nodes("Split", [gate_up, g.integers(ffn, ffn)], [prefix + "gate", prefix + "up"], axis=1)
        silu = g.node("QuickGelu", [gate], domain=MICROSOFT, alpha=1.0)  # x * sigmoid(alpha * x)
        return self.products.of_ffn(g.node("Mul", [silu, up]), prefix + "down")

    def _norm(self, x: str, name: str) -> str:
        return self.g.node("RMSNormalization", [x, self.g.weight(name)], axis=-1, epsilon=self.config.norm_eps)
