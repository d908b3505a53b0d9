"""The graph of a model: its layers in the order they run, with what flows between them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.keras_internals import producer

FUNCTIONAL = type(keras.Model(_tensor := keras.Input((1,)), keras.layers.Identity()(_tensor)))


@dataclass(frozen=True)
class Call:
    """One use of a layer, or of one of Keras's operations (`keras.ops`, or an operator on a symbolic tensor).

    Attributes:
        inputs: the symbolic tensors that go in; their identity says which call they came from.
        output: the symbolic tensor that comes out; of several, the first.
        node: Keras's own record of the call, with its other arguments.
    """

    layer: keras.Operation
    inputs: list[keras.KerasTensor]
    output: keras.KerasTensor
    node: Any

    @property
    def is_plain(self) -> bool:
        """Whether nothing goes in but the first argument: no mask, for example."""
        arguments = self.node.arguments
        keywords = [value for name, value in arguments.kwargs.items() if name != "training"]
        return all(value is None for value in (*arguments.args[1:], *keywords))

    def run(self, values: list[Any], *, training: bool) -> Any:
        """The output for actual `values` of the inputs, as Keras computes it."""
        by_tensor = {id(tensor): value for tensor, value in zip(self.node.input_tensors, values, strict=True)}
        args, kwargs = self.node.arguments.fill_in(by_tensor)
        if isinstance(self.layer, keras.Layer):
            kwargs["training"] = training
        output = self.layer(*args, **kwargs)
        return output[0] if isinstance(output, list | tuple) else output


@dataclass(frozen=True)
class Graph:
    """A model with one input and one output, as a list of calls in an order in which each can run."""

    input: keras.KerasTensor
    output: keras.KerasTensor
    calls: list[Call]


def trace(model: keras.Model) -> Graph:
    """Walk a built Sequential or Functional model, into the models it is made of.

    Raises:
        ModelError: it is not built of layers, or has several inputs or outputs.
    """
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{model.name} must be a built Sequential or Functional model with one input and one output.")
    walk = _Walk()
    start = walk.fresh(model.inputs[0])
    return Graph(start, walk.resolve(model.outputs[0]), walk.calls)


@dataclass
class _Walk:
    """The walk through a model: its calls until now.

    Every value gets a fresh symbolic tensor, since a model inside a model may be used twice, and its own tensors then
    stand for two values each.
    """

    calls: list[Call] = field(default_factory=list)
    known: dict[int, keras.KerasTensor] = field(default_factory=dict)  # by id of the model's own symbolic tensor

    def fresh(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """The tensor that stands for a new value."""
        self.known[id(tensor)] = keras.KerasTensor(tensor.shape, tensor.dtype)
        return self.known[id(tensor)]

    def resolve(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """The tensor that stands for `tensor`'s value, after the calls it needs."""
        if id(tensor) not in self.known:
            operation, node = producer(tensor)
            inputs = [self.resolve(source) for source in node.input_tensors]
            if _is_plain(operation) and len(inputs) == len(operation.outputs) == 1:
                self.known[id(tensor)] = self._inside(operation, inputs[0])
            else:
                outputs = [self.fresh(output) for output in node.outputs]
                self.calls.append(Call(operation, inputs, outputs[0], node))
        return self.known[id(tensor)]

    def _inside(self, model: keras.Model, value: keras.KerasTensor) -> keras.KerasTensor:
        """The output of a model inside the model, whose own calls are added."""
        inner = _Walk(self.calls, {id(model.inputs[0]): value})
        return inner.resolve(model.outputs[0])


def _is_plain(operation: keras.Operation) -> bool:
    """Whether an operation is a model that only calls its layers."""
    return type(operation) in (keras.Sequential, FUNCTIONAL)


def kind_of_operation(function: Callable[..., Any], *others: Any) -> type:
    """The class of the operation that a function of `keras.ops` leaves in a model's graph."""
    return type(producer(function(keras.KerasTensor((2, 2)), *others))[0])


def all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """A model's layers, and those of the models it is made of, in order."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)


def ends_in_softmax(layer: keras.Operation) -> bool:
    """Whether what a layer gives is a softmax: `Softmax` itself, or softmax as its activation."""
    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Softmax) or activation is keras.activations.softmax


def same_padding(
    layer: keras.Layer, sides: Sequence[int], window: Sequence[int], dilations: Sequence[int] = (1, 1)
) -> tuple[int, int, int, int]:
    """Padding before and after each side, (top, left, bottom, right), of a convolution or pool; zeros for `valid`."""
    if layer.padding == "valid":
        return 0, 0, 0, 0
    before, after = [], []
    for side, size, stride, dilation in zip(sides, window, layer.strides, dilations, strict=True):
        extent = (-(-side // stride) - 1) * stride + (size - 1) * dilation + 1
        total = max(0, extent - side)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]
