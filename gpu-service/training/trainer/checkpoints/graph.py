"""A few words to write ONNX graphs with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from checkpoints.weights_file import Stored

OPSET = 23  # the first with RMSNormalization and RotaryEmbedding
IR_VERSION = 11
MICROSOFT = "com.microsoft"
WEIGHTS_FILE = "weights.bin"
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8}
Dims = Sequence[int | str]


class GraphBuilder:
    """Collects nodes; large tensors are named from a `weights.bin`, small constants lie in the graph."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored = stored
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: str, dims: Dims) -> str:
        """Declare a graph input."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], list(dims)))
        return name

    def output(self, name: str, dtype: str, dims: Dims) -> None:
        """Declare a graph output; a node must produce `name`."""
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[dtype], list(dims)))

    def weight(self, name: str) -> str:
        """A tensor of `weights.bin`. Throws KeyError when it was not written."""
        if name not in self._initializers:
            self._initializers[name] = _external(self._stored[name])
        return name

    def has(self, weight: str) -> bool:
        """Whether `weights.bin` holds this tensor."""
        return weight in self._stored

    def shape(self, weight: str) -> tuple[int, ...]:
        """Of a tensor of `weights.bin`."""
        return self._stored[weight].shape

    def constant(self, name: str, array: NDArray[np.generic]) -> str:
        """A small tensor, stored in the graph once however often it is asked for."""
        self._initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def integers(self, *values: int) -> str:
        """A constant i64 vector, named after its values."""
        return self.constant("i64_" + "_".join(map(str, values)), np.asarray(values, np.int64))

    def node(self, op: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns its name."""
        return self.nodes(op, inputs, [output or f"{op}_{len(self._nodes)}"], domain, **attributes)[0]

    def nodes(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with named outputs."""
        name = f"{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), list(outputs), name=name, domain=domain, **attributes))
        return list(outputs)

    def model(self, name: str) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, initializer=list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, producer_name="outrider", ir_version=IR_VERSION, opset_imports=opsets)


def _external(stored: Stored) -> TensorProto:
    tensor = TensorProto(name=stored.name, data_type=TYPES[stored.dtype], dims=stored.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS_FILE), ("offset", stored.offset), ("length", stored.size_bytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
