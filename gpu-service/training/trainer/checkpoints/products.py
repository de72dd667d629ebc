"""Products with the weights of one format, as nodes of a graph: floats, blocks of 32 with 8 or 4 bits, or integers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from checkpoints.graph import MICROSOFT, GraphBuilder
from checkpoints.quantize import BLOCK
from checkpoints.rotated import hadamard_matrix
from checkpoints.weights import FORMAT_BITS, HEAD_FORMATS, W8A8

INT8_ACTIVATIONS = 4  # accuracy_level of MatMulNBits


@dataclass(frozen=True)
class Products:
    """Names of weights are those of `weights.py`."""

    g: GraphBuilder
    weight_format: str

    def embedding(self, ids: str) -> str:
        """f32 [R, hidden] of ids i64 [R]."""
        if self.weight_format == "fp32":
            return self.g.node("Gather", [self.g.weight("embedding"), ids], axis=0)
        return self.g.node(
            "GatherBlockQuantized",
            [self.g.weight("embedding.quants"), ids, self.g.weight("embedding.scales")],
            domain=MICROSOFT,
            bits=8,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )

    def of(self, x: str, name: str) -> str:
        """x f32 [R, columns] times the matrix `name`: f32 [R, rows]."""
        if self.weight_format == "fp32":
            return self.g.node("MatMul", [x, self.g.weight(name)])
        return self._quantised(x, name, self.weight_format)

    def of_ffn(self, x: str, name: str) -> str:
        """The same for the feed-forward layer's activations, whose rotation is part of the graph where it has one."""
        return self.of(self._mixed(x, name) if self.weight_format == W8A8 else x, name)

    def logits(self, x: str) -> None:
        """The output "logits": x f32 [M, hidden] times the head."""
        if self.weight_format == "fp32":
            # Gemm takes the rows as the embedding has them, so that both can be the same bytes.
            self.g.node("Gemm", [x, self.g.weight("head")], "logits", transB=1)
        else:
            self._quantised(x, "head", HEAD_FORMATS[self.weight_format], "logits")

    def _quantised(self, x: str, name: str, weight_format: str, output: str = "") -> str:
        if weight_format == W8A8:
            return self._integers(x, name, output)
        return self._blocks(x, name, FORMAT_BITS[weight_format], output)

    def _mixed(self, x: str, name: str) -> str:
        columns, _ = self.g.shape(self.g.weight(name + ".quants"))
        matrix = hadamard_matrix(columns)
        blocks = self.g.node("Reshape", [x, self.g.integers(-1, len(matrix))])
        mixed = self.g.node("MatMul", [blocks, self.g.constant("hadamard", matrix)])
        return self.g.node("Reshape", [mixed, self.g.integers(-1, columns)])

    def _integers(self, x: str, name: str, output: str = "") -> str:
        """Each row of x is scaled by its largest value and rounded. A row of zeros comes out as zeros.

        The sums are of whole numbers, so that they are the same whatever runs beside a row, on every machine.
        """
        g = self.g
        step, zero = g.constant("step", np.asarray(1 / 127, np.float32)), g.constant("zero", np.asarray(128, np.uint8))
        largest = g.node("ReduceMax", [g.node("Abs", [x]), g.integers(1)], keepdims=1)
        quants = g.node("QuantizeLinear", [g.node("Div", [x, largest]), step, zero])
        weights = [g.weight(name + ".quants"), step, g.weight(name + ".scales"), zero, zero]
        product = g.node("MatMulIntegerToFloat", [quants, *weights], domain=MICROSOFT)
        return g.node("Mul", [product, largest], output)

    def _blocks(self, x: str, name: str, bits: int, output: str = "") -> str:
        quants, scales = self.g.weight(name + ".quants"), self.g.weight(name + ".scales")
        rows, blocks = self.g.shape(scales)
        symmetric = not self.g.has(name + ".offsets")
        product = self.g.node(
            "MatMulNBits",
            [x, quants, scales],
            output if symmetric else "",
            MICROSOFT,
            K=blocks * BLOCK,
            N=rows,
            bits=bits,
            block_size=BLOCK,
            accuracy_level=INT8_ACTIVATIONS,
        )
        if symmetric:
            return product
        # Each block's offset meets the sum of the block's inputs. (Zero points inside the operator must be whole
        # numbers to be fast; these are not.)
        sums = self.g.node("MatMul", [x, self.g.constant(f"block_sums_{blocks}", _block_sums(blocks))])
        return self.g.node("Gemm", [sums, self.g.weight(name + ".offsets"), product], output)


def _block_sums(blocks: int) -> npt.NDArray[np.float32]:
    """f32 [blocks * 32, blocks]: a matrix that adds up the columns of each block."""
    return np.repeat(np.eye(blocks, dtype=np.float32), BLOCK, axis=0)
