"""A model's layers in the order they run, with what flows between them."""

from dataclasses import dataclass
from typing import Any

from eyespot.backend import keras


@dataclass(frozen=True)
class Call:
    """One use of a layer.

    Attributes:
        inputs: the symbolic tensors that go in; their identity says which call they came from.
        output: the symbolic tensor that comes out.
    """

    layer: keras.Layer
    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor


@dataclass(frozen=True)
class Graph:
    """A model with one input and one output, as a list of calls in an order in which each can run."""

    input: keras.KerasTensor
    output: keras.KerasTensor
    calls: list[Call]


def trace(model: keras.Model) -> Graph:
    """Walks a built Sequential or Functional model.

    The layers are the model's own; `clone_model` (Keras's public way to walk a graph) only supplies the wiring, so the
    symbolic tensors are the clone's.
    """
    found: list[Call] = []

    def record(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        inputs = [tensor for tensor in keras.tree.flatten((args, kwargs)) if isinstance(tensor, keras.KerasTensor)]
        found.append(Call(model.get_layer(layer.name), inputs, output))
        return output

    clone = keras.models.clone_model(keras.Model(model.inputs, model.outputs), call_function=record)
    return Graph(clone.inputs[0], clone.outputs[0], found)
