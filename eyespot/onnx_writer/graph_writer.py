"""GraphWriter: an ONNX graph as it is being written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyespot.backend import keras
from eyespot.inference.metadata import FEATURES, LOGITS, PROBABILITIES, TEMPERATURE
from eyespot.models.graph import Call

activations = keras.activations
OPSET = 20
IMAGE_RANK = 4
TO_CHANNELS_FIRST = [0, 3, 1, 2]
TO_CHANNELS_LAST = [0, 2, 3, 1]
ACTIVATIONS: dict[Callable[..., Any], tuple[str, dict[str, Any]]] = {
    activations.relu: ("Relu", {}),
    activations.sigmoid: ("Sigmoid", {}),
    activations.tanh: ("Tanh", {}),
    activations.softplus: ("Softplus", {}),
    activations.softmax: ("Softmax", {"axis": -1}),
    activations.elu: ("Elu", {}),
    activations.selu: ("Selu", {}),
    activations.gelu: ("Gelu", {}),
    activations.hard_sigmoid: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    activations.hard_silu: ("HardSwish", {}),
}


class GraphWriter:
    """Collects nodes and constants, and knows under which ONNX name each of Keras's symbolic tensors goes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._names: dict[int, str] = {}  # by id of the symbolic tensor
        self._channels_first: set[str] = set()
        self._count = 0

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant; float64 and Keras's own arrays become float32."""
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self._count += 1
        unique = name if name == TEMPERATURE else f"{name}_{self._count}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), unique))
        return unique

    def node(self, kind: str, inputs: list[str], outputs: list[str] | None = None, **attributes: Any) -> list[str]:
        """Adds a node and returns the names of its outputs."""
        self._count += 1
        names = outputs or [f"{kind.lower()}_{self._count}"]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def pixels(self, tensor: keras.KerasTensor) -> str:
        """Declares the input, `uint8` pixels, and turns them into numbers."""
        (self._names[id(tensor)],) = self.node("Cast", ["pixels"], to=TensorProto.FLOAT)
        return "pixels"

    def bind(self, tensor: keras.KerasTensor, name: str) -> None:
        """Notes under which name a symbolic tensor goes."""
        self._names[id(tensor)] = name

    def logits(self, output: keras.KerasTensor) -> str:
        """Takes the softmax at the end off, and names what goes into it `logits`."""
        name = self._names[id(output)]
        last_node = self.nodes[-1]
        if last_node.op_type != "Softmax" or last_node.output[0] != name:
            raise UnsupportedLayer("the model does not end in softmax")
        del self.nodes[-1]
        return self.node("Identity", [last_node.input[0]], outputs=[LOGITS])[0]

    def features(self) -> list[onnx.ValueInfoProto]:
        """Names what the last dense layer takes `features`, and declares it; nothing where no such layer ends it."""
        producers = {name: node for node in self.nodes for name in node.output}
        node = producers[LOGITS]
        while node.op_type in {"Identity", "Add"} and node.input[0] in producers:
            node = producers[node.input[0]]
        kernels = [tensor for tensor in self.initializers if node.op_type == "MatMul" and tensor.name == node.input[1]]
        if not kernels or len(kernels[0].dims) != 2:  # noqa: PLR2004 - a matrix
            return []
        self.node("Identity", [node.input[0]], outputs=[FEATURES])
        return [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["n", kernels[0].dims[0]])]

    def probabilities(self, logits: str) -> None:
        """Softmax of the logits over the temperature."""
        (scaled,) = self.node("Div", [logits, self.constant(TEMPERATURE, np.float32(1))])
        self.node("Softmax", [scaled], outputs=[PROBABILITIES], axis=-1)

    def input(self, call: Call, *, channels_first: bool, which: int = 0) -> str:
        """The name of a layer's input, in the order of dimensions that the layer needs."""
        tensor = call.inputs[which]
        return self.arranged(self._names[id(tensor)], len(tensor.shape), channels_first=channels_first)

    def arranged(self, name: str, rank: int, *, channels_first: bool) -> str:
        """`name`, turned where it is an image in the other order."""
        if rank != IMAGE_RANK or (name in self._channels_first) == channels_first:
            return name
        (transposed,) = self.node("Transpose", [name], perm=TO_CHANNELS_FIRST if channels_first else TO_CHANNELS_LAST)
        return self.mark(transposed) if channels_first else transposed

    def mark(self, name: str) -> str:
        """Notes that `name` is an image in ONNX's order."""
        self._channels_first.add(name)
        return name

    def is_channels_first(self, call: Call) -> bool:
        """Whether a layer's first input is an image in ONNX's order."""
        return self._names[id(call.inputs[0])] in self._channels_first

    def activated(self, name: str, activation: Callable[..., Any]) -> str:
        """`name` after one of Keras's activation functions.

        Raises:
            UnsupportedLayer: it has no ONNX form here.
        """
        if activation is activations.linear:
            return name
        if activation is activations.silu:
            (gate,) = self.node("Sigmoid", [name])
            return self.marked_as(name, self.node("Mul", [name, gate])[0])
        if activation is activations.relu6:
            return self.clipped(name, 6)
        if activation not in ACTIVATIONS:
            raise UnsupportedLayer(f"activation {getattr(activation, '__name__', activation)}")
        kind, attributes = ACTIVATIONS[activation]
        if kind == "Softmax" and name in self._channels_first:
            raise UnsupportedLayer("softmax over an image's channels")
        return self.marked_as(name, self.node(kind, [name], **attributes)[0])

    def clipped(self, name: str, highest: float) -> str:
        """`name` between 0 and a number, in the node that ONNX Runtime computes within a convolution."""
        limits = [self.constant("lowest", np.float32(0)), self.constant("highest", np.float32(highest))]
        return self.marked_as(name, self.node("Clip", [name, *limits])[0])

    def marked_as(self, name: str, result: str) -> str:
        """`result`, which has the order of dimensions that `name` has."""
        return self.mark(result) if name in self._channels_first else result


def outputs(model: keras.Model) -> list[onnx.ValueInfoProto]:
    """The declarations of a graph's two outputs."""
    shape = ["n", model.outputs[0].shape[1]]
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (LOGITS, PROBABILITIES)]


class UnsupportedLayer(Exception):  # noqa: N818 - not a fault: another way is taken
    """A layer has no ONNX form here."""
