"""Editing an ONNX graph: who makes a value, who uses it, and what is constant."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from eyespot.shapes import Shaped


class Editor:
    """A graph whose nodes are changed in place; its types of intermediate values are dropped, and found anew."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        del self._graph.value_info[:]

    def nodes(self, kind: str) -> Iterator[onnx.NodeProto]:
        """Nodes of one operator."""
        return (node for node in self._graph.node if node.op_type == kind)

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that gives a value; None of inputs and constants."""
        return next((node for node in self._graph.node if name in node.output), None)

    def users(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that take a value."""
        return [node for node in self._graph.node if name in node.input]

    def only_user(self, name: str) -> onnx.NodeProto | None:
        """The one node that takes a value; None where there are several, or it is an output of the graph."""
        users = self.users(name)
        return users[0] if len(users) == 1 and all(output.name != name for output in self._graph.output) else None

    def input_shape(self) -> tuple[int, ...]:
        """Of the graph's only input, without the number of pictures."""
        return tuple(side.dim_value for side in self._graph.input[0].type.tensor_type.shape.dim[1:])

    def array(self, name: str) -> Shaped[np.ndarray, "..."] | None:
        """A constant; None where it is none."""
        held = next((tensor for tensor in self._graph.initializer if tensor.name == name), None)
        return None if held is None else numpy_helper.to_array(held)

    def scalar(self, name: str) -> float | None:
        """A constant that is one number."""
        array = self.array(name)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant, under a name that no other has."""
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def replace(self, name: str, value: Any) -> str:
        """Puts another constant in the place of one that a single node uses."""
        held = next(tensor for tensor in self._graph.initializer if tensor.name == name)
        if self.only_user(name) is None:
            return self.constant(f"{name}_changed", value)
        held.CopyFrom(numpy_helper.from_array(np.asarray(value), name))
        return name

    def insert(self, before: onnx.NodeProto, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node in the place before another."""
        place = next(index for index, node in enumerate(self._graph.node) if before.output[0] in node.output)
        self._graph.node.insert(place, helper.make_node(kind, inputs, [output], **attributes))
        return output

    def remove(self, *nodes: onnx.NodeProto) -> None:
        """Takes nodes out."""
        for node in nodes:
            self._graph.node.remove(node)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as plain values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
