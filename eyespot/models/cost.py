"""The cost of a model: parameters and multiply-adds, and its layers in a table."""

import math
from dataclasses import dataclass

from eyespot.backend import keras
from eyespot.models.graph import Call, trace
from eyespot.output import no_displays

layers = keras.layers


def multiply_adds(model: keras.Model) -> int:
    """Return the multiply-adds of convolutions and dense layers for one image; other layers are not counted."""
    return sum(_multiply_adds(call) for call in trace(model).calls)


@dataclass(frozen=True)
class LayerCost:
    """One use of a layer.

    Attributes:
        name: Keras's, of the layer.
        kind: its class.
        inputs: names of the layers whose outputs it takes; none for the first.
        shape: of its output for one image.
        parameters: 0 where the layer has been used before.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Return the cost of each layer, in the order in which they run."""
    costs: list[LayerCost] = []
    producers: dict[int, str] = {}  # which layer made a symbolic tensor, by its id
    counted: set[int] = set()
    for call in trace(model).calls:
        layer = call.layer
        is_new = isinstance(layer, keras.Layer) and id(layer) not in counted
        counted.add(id(layer))
        inputs = tuple(producers[id(tensor)] for tensor in call.inputs if id(tensor) in producers)
        producers[id(call.output)] = layer.name
        parameters = layer.count_params() if is_new else 0
        shape = tuple(call.output.shape[1:])
        costs.append(LayerCost(layer.name, type(layer).__name__, inputs, shape, parameters, _multiply_adds(call)))
    return costs


def _multiply_adds(call: Call) -> int:
    layer = call.layer
    outputs = math.prod(call.output.shape[1:])
    if isinstance(layer, layers.SeparableConv2D):
        depthwise, pointwise = math.prod(layer.depthwise_kernel.shape), math.prod(layer.pointwise_kernel.shape)
        return int(outputs // layer.filters * (depthwise + pointwise))
    if isinstance(layer, layers.Conv2DTranspose):
        return int(math.prod(call.inputs[0].shape[1:3]) * math.prod(layer.kernel.shape))
    if isinstance(layer, layers.DepthwiseConv2D):
        return int(outputs * math.prod(layer.kernel_size))
    if isinstance(layer, layers.Conv2D):
        # kernel [height, width, input channels of a group, outputs]
        return int(outputs * math.prod(layer.kernel.shape[:3]))
    if isinstance(layer, layers.Dense):
        return int(outputs * layer.kernel.shape[0])
    return 0


def summary_text(model: keras.Model) -> str:
    """The model's layers as Keras prints them, 80 characters wide."""
    lines: list[str] = []
    with no_displays():
        model.summary(print_fn=lines.append, line_length=80)
    return "\n".join(lines)
