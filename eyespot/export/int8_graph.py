"""What is done to a graph around its quantisation, so that as little as possible of it stays in floating point."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from eyespot.shapes import Shaped

RISING = {"LeakyRelu", "Sigmoid", "Tanh"}  # never fall: the largest value stays the largest
LAYOUT = {"Transpose", "Flatten", "Reshape"}
LARGEST_PIXEL = 255


def pool_before_activation(model: onnx.ModelProto) -> None:
    """Takes the largest of several values first and the activation then, which is the same for a quarter of the work.

    A `Relu` stays where it is: in a quantised convolution it costs nothing.
    """
    graph = _Graph(model)
    for pool in list(graph.nodes("MaxPool")):
        activation = graph.maker(pool.input[0])
        if activation is None or not _may_wait(activation) or graph.uses(pool.input[0]) != 1 or len(pool.output) != 1:
            continue
        first, second = onnx.NodeProto(), onnx.NodeProto()
        first.CopyFrom(pool)
        second.CopyFrom(activation)
        first.input[:], first.output[:] = activation.input, activation.output
        second.input[:], second.output[:] = activation.output, pool.output
        activation.CopyFrom(first)  # in the place of the one that came first
        pool.CopyFrom(second)


def pixels_as_they_are(model: onnx.ModelProto) -> None:
    """Lets the first layer take the pixels themselves, whose scale of 1/255 is a quantisation already.

    What turns them into floating point, scales them and quantises them again goes. Where they are not rescaled by one
    number, or are used twice, nothing changes.
    """
    graph = _Graph(model)
    start = graph.user("pixels", "Cast")
    if start is None:
        return
    scale, offset, doomed, moved = 1.0, 0.0, [start], []
    node = graph.only_user(start.output[0])
    while node is not None and node.op_type != "QuantizeLinear":
        factor = graph.scalar(node.input[1]) if node.op_type in {"Mul", "Add"} else None
        if node.op_type in LAYOUT:
            moved.append(node)
        elif factor is not None:
            scale, offset = (scale * factor, offset * factor) if node.op_type == "Mul" else (scale, offset + factor)
            doomed.append(node)
        else:
            return
        node = graph.only_user(node.output[0])
    zero = -offset / scale if scale > 0 else -1.0
    if node is None or not 0 <= zero <= LARGEST_PIXEL or zero != round(zero):
        return
    name = "pixels"
    for layout in moved:
        layout.input[0], name = name, layout.output[0]
    constants = [graph.constant("pixel_scale", np.float32(scale)), graph.constant("pixel_zero", np.uint8(zero))]
    for user in graph.users(node.output[0]):
        user.input[:] = [name, *constants]
    graph.remove(*doomed, node)


def logits_in_full(model: onnx.ModelProto) -> None:
    """Keeps the logits from being rounded to 256 levels: they are few, and probabilities are made of them."""
    graph = _Graph(model)
    given = graph.maker("logits")
    rounded = graph.maker(given.input[0]) if given is not None and given.op_type == "DequantizeLinear" else None
    if given is None or rounded is None or graph.uses(rounded.output[0]) != 1 or graph.uses(rounded.input[0]) != 1:
        return
    source = graph.maker(rounded.input[0])
    if source is not None:
        source.output[0] = "logits"
        graph.remove(given, rounded)


def _may_wait(node: onnx.NodeProto) -> bool:
    slopes = [attribute.f for attribute in node.attribute if attribute.name == "alpha"]
    return node.op_type in RISING and all(slope >= 0 for slope in slopes)


class _Graph:
    """Who makes and who uses what in a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        del self._graph.value_info[:]  # types are found anew: some change

    def nodes(self, kind: str) -> Iterator[onnx.NodeProto]:
        return (node for node in self._graph.node if node.op_type == kind)

    def maker(self, name: str) -> onnx.NodeProto | None:
        return next((node for node in self._graph.node if name in node.output), None)

    def users(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self._graph.node if name in node.input]

    def uses(self, name: str) -> int:
        return len(self.users(name)) + sum(output.name == name for output in self._graph.output)

    def only_user(self, name: str) -> onnx.NodeProto | None:
        return self.users(name)[0] if self.uses(name) == 1 and self.users(name) else None

    def user(self, name: str, kind: str) -> onnx.NodeProto | None:
        node = self.only_user(name)
        return node if node is not None and node.op_type == kind else None

    def scalar(self, name: str) -> float | None:
        """A constant that is one number."""
        held = next((tensor for tensor in self._graph.initializer if tensor.name == name), None)
        array: Shaped[np.ndarray, ...] | None = None if held is None else numpy_helper.to_array(held)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def constant(self, name: str, value: Shaped[np.ndarray, "..."]) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def remove(self, *nodes: onnx.NodeProto) -> None:
        for node in nodes:
            self._graph.node.remove(node)
