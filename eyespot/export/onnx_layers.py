"""Keras layers as ONNX nodes, one each.

Pictures travel as ONNX wants them, [n, channels, height, width], from the first convolution or pool on, and are turned
back where a layer looks at the order of values (Flatten, Reshape).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyespot.backend import keras
from eyespot.models.graph import Call

layers = keras.layers
activations = keras.activations
IMAGE_RANK = 4
TO_CHANNELS_FIRST = [0, 3, 1, 2]
TO_CHANNELS_LAST = [0, 2, 3, 1]

DOES_NOTHING = (
    layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout,
    layers.ActivityRegularization,
)  # fmt: skip


class UnsupportedLayer(Exception):  # noqa: N818 - not a fault: another way is taken
    """A layer has no ONNX form here."""


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
        unique = name if name == "temperature" else f"{name}_{self._count}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), unique))
        return unique

    def node(self, kind: str, inputs: list[str], outputs: list[str] | None = None, **attributes: Any) -> list[str]:
        """Adds a node and returns the names of its outputs."""
        self._count += 1
        named = outputs or [f"{kind.lower()}_{self._count}"]
        self.nodes.append(helper.make_node(kind, inputs, named, **attributes))
        return named

    def pixels(self, tensor: keras.KerasTensor) -> str:
        """Declares the input, `uint8` pixels, and turns them into numbers."""
        (self._names[id(tensor)],) = self.node("Cast", ["pixels"], to=TensorProto.FLOAT)
        return "pixels"

    def add(self, call: Call) -> None:
        """Adds a layer's nodes.

        Raises:
            UnsupportedLayer: it has no ONNX form here.
        """
        self._names[id(call.output)] = _writer_of(call.layer)(self, call)

    def logits(self, output: keras.KerasTensor) -> str:
        """Takes the softmax at the end off, and names what goes into it `logits`."""
        name = self._names[id(output)]
        last = self.nodes[-1]
        if last.op_type != "Softmax" or last.output[0] != name:
            raise UnsupportedLayer("the model does not end in softmax")
        del self.nodes[-1]
        return self.node("Identity", [last.input[0]], outputs=["logits"])[0]

    def probabilities(self, logits: str) -> None:
        """Softmax of the logits over the temperature."""
        (scaled,) = self.node("Div", [logits, self.constant("temperature", np.float32(1))])
        self.node("Softmax", [scaled], outputs=["probabilities"], axis=-1)

    def input(self, call: Call, *, channels_first: bool, which: int = 0) -> str:
        """The name of a layer's input, in the order of dimensions that the layer needs."""
        tensor = call.inputs[which]
        return self.arranged(self._names[id(tensor)], len(tensor.shape), channels_first=channels_first)

    def arranged(self, name: str, rank: int, *, channels_first: bool) -> str:
        """`name`, turned where it is a picture in the other order."""
        if rank != IMAGE_RANK or (name in self._channels_first) == channels_first:
            return name
        (turned,) = self.node("Transpose", [name], perm=TO_CHANNELS_FIRST if channels_first else TO_CHANNELS_LAST)
        return self.mark(turned) if channels_first else turned

    def mark(self, name: str) -> str:
        """Notes that `name` is a picture in ONNX's order."""
        self._channels_first.add(name)
        return name

    def is_channels_first(self, call: Call) -> bool:
        """Whether a layer's first input is a picture in ONNX's order."""
        return self._names[id(call.inputs[0])] in self._channels_first

    def activated(self, name: str, activation: Callable[..., Any]) -> str:
        """`name` after one of Keras's activation functions.

        Raises:
            UnsupportedLayer: it has no ONNX form here.
        """
        if activation is activations.linear:
            return name
        if activation not in ACTIVATIONS:
            raise UnsupportedLayer(f"activation {getattr(activation, '__name__', activation)}")
        kind, attributes = ACTIVATIONS[activation]
        if kind == "Softmax" and name in self._channels_first:
            raise UnsupportedLayer("softmax over a picture's channels")
        (result,) = self.node(kind, [name], **attributes)
        return self.mark(result) if name in self._channels_first else result


ACTIVATIONS: dict[Callable[..., Any], tuple[str, dict[str, Any]]] = {
    activations.relu: ("Relu", {}),
    activations.sigmoid: ("Sigmoid", {}),
    activations.tanh: ("Tanh", {}),
    activations.softplus: ("Softplus", {}),
    activations.softmax: ("Softmax", {"axis": -1}),
    activations.elu: ("Elu", {}),
    activations.selu: ("Selu", {}),
    activations.gelu: ("Gelu", {}),
}


def _same(writer: GraphWriter, call: Call) -> str:
    """Layers that do nothing outside training."""
    return writer.input(call, channels_first=writer.is_channels_first(call))


def _rescaling(writer: GraphWriter, call: Call) -> str:
    name = writer.input(call, channels_first=False)
    scaled = writer.node("Mul", [name, writer.constant("scale", np.asarray(call.layer.scale, np.float32))])[0]
    offset = np.asarray(call.layer.offset, np.float32)
    return writer.node("Add", [scaled, writer.constant("offset", offset)])[0] if offset.any() else scaled


def _normalization(writer: GraphWriter, call: Call) -> str:
    if call.layer.invert:
        raise UnsupportedLayer("Normalization(invert=True)")
    mean = keras.ops.convert_to_numpy(call.layer.mean)
    deviation = np.maximum(np.sqrt(keras.ops.convert_to_numpy(call.layer.variance)), keras.config.epsilon())
    centred = writer.node("Sub", [writer.input(call, channels_first=False), writer.constant("mean", mean)])[0]
    return writer.node("Div", [centred, writer.constant("deviation", deviation)])[0]


def _convolution(writer: GraphWriter, call: Call) -> str:
    layer = call.layer
    kernel = keras.ops.convert_to_numpy(layer.kernel).transpose(3, 2, 0, 1)
    return _convolved(writer, call, kernel, layer.groups)


def _depthwise(writer: GraphWriter, call: Call) -> str:
    # [height, width, channels, multiplier] becomes one group a channel: [channels * multiplier, 1, height, width]
    kernel = keras.ops.convert_to_numpy(call.layer.kernel)
    height, width, channels, multiplier = kernel.shape
    return _convolved(
        writer, call, kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width), channels
    )


def _convolved(writer: GraphWriter, call: Call, kernel: Any, groups: int) -> str:
    layer = call.layer
    _needs_channels_last(layer)
    inputs = [writer.input(call, channels_first=True), writer.constant("kernel", kernel)]
    if layer.use_bias:
        inputs.append(writer.constant("bias", keras.ops.convert_to_numpy(layer.bias)))
    strides, dilations = list(layer.strides), list(layer.dilation_rate)
    name = writer.node(
        "Conv", inputs, strides=strides, dilations=dilations, group=groups, auto_pad=_auto_pad(layer.padding)
    )[0]
    return writer.activated(writer.mark(name), layer.activation)


def _dense(writer: GraphWriter, call: Call) -> str:
    kernel = writer.constant("kernel", keras.ops.convert_to_numpy(call.layer.kernel))
    name = writer.node("MatMul", [writer.input(call, channels_first=False), kernel])[0]
    if call.layer.use_bias:
        name = writer.node("Add", [name, writer.constant("bias", keras.ops.convert_to_numpy(call.layer.bias))])[0]
    return writer.activated(name, call.layer.activation)


def _pool(kind: str) -> Callable[[GraphWriter, Call], str]:
    def write(writer: GraphWriter, call: Call) -> str:
        layer = call.layer
        _needs_channels_last(layer)
        name = writer.node(
            kind,
            [writer.input(call, channels_first=True)],
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            auto_pad=_auto_pad(layer.padding),
        )[0]
        return writer.mark(name)

    return write


def _global_pool(kind: str) -> Callable[[GraphWriter, Call], str]:
    def write(writer: GraphWriter, call: Call) -> str:
        _needs_channels_last(call.layer)
        name = writer.node(kind, [writer.input(call, channels_first=True)])[0]
        return writer.mark(name) if call.layer.keepdims else writer.node("Flatten", [name])[0]

    return write


def _batch_normalization(writer: GraphWriter, call: Call) -> str:
    """Statistics are fixed outside training, so it is a scale and a shift of each channel."""
    layer = call.layer
    rank = len(call.inputs[0].shape)
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    if axis not in (-1, rank - 1):
        raise UnsupportedLayer(f"BatchNormalization over axis {axis}")
    numbers = keras.ops.convert_to_numpy
    scale = (numbers(layer.gamma) if layer.scale else 1) / np.sqrt(numbers(layer.moving_variance) + layer.epsilon)
    shift = (numbers(layer.beta) if layer.center else 0) - numbers(layer.moving_mean) * scale
    first = writer.is_channels_first(call)
    shape = (1, -1, 1, 1) if first else (1,) * (rank - 1) + (-1,)
    name = writer.input(call, channels_first=first)
    scaled = writer.node("Mul", [name, writer.constant("scale", scale.reshape(shape))])[0]
    result = writer.node("Add", [scaled, writer.constant("shift", shift.reshape(shape))])[0]
    return writer.mark(result) if first else result


def _flatten(writer: GraphWriter, call: Call) -> str:
    return writer.node("Flatten", [writer.input(call, channels_first=False)])[0]


def _reshape(writer: GraphWriter, call: Call) -> str:
    target = writer.constant("shape", np.array([0, *call.output.shape[1:]], np.int64))
    return writer.node("Reshape", [writer.input(call, channels_first=False), target])[0]


def _activation(writer: GraphWriter, call: Call) -> str:
    return writer.activated(_same(writer, call), call.layer.activation)


def _relu(writer: GraphWriter, call: Call) -> str:
    layer = call.layer
    if layer.threshold:
        raise UnsupportedLayer("ReLU with a threshold")
    name = result = _same(writer, call)
    if layer.negative_slope:
        result = writer.node("LeakyRelu", [result], alpha=float(layer.negative_slope))[0]
    else:
        result = writer.node("Relu", [result])[0]
    if layer.max_value is not None:
        result = writer.node("Min", [result, writer.constant("max_value", np.float32(layer.max_value))])[0]
    return writer.mark(result) if writer.is_channels_first(call) and name != result else result


def _leaky_relu(writer: GraphWriter, call: Call) -> str:
    result = writer.node("LeakyRelu", [_same(writer, call)], alpha=float(call.layer.negative_slope))[0]
    return writer.mark(result) if writer.is_channels_first(call) else result


def _softmax(writer: GraphWriter, call: Call) -> str:
    if call.layer.axis not in (-1, len(call.inputs[0].shape) - 1):
        raise UnsupportedLayer(f"Softmax over axis {call.layer.axis}")
    return writer.node("Softmax", [writer.input(call, channels_first=False)], axis=-1)[0]


def _add(writer: GraphWriter, call: Call) -> str:
    first = writer.is_channels_first(call)
    total = writer.input(call, channels_first=first)
    for which in range(1, len(call.inputs)):
        total = writer.node("Add", [total, writer.input(call, channels_first=first, which=which)])[0]
    return writer.mark(total) if first else total


def _concatenate(writer: GraphWriter, call: Call) -> str:
    rank = len(call.inputs[0].shape)
    if call.layer.axis not in (-1, rank - 1):
        raise UnsupportedLayer(f"Concatenate over axis {call.layer.axis}")
    first = writer.is_channels_first(call)
    names = [writer.input(call, channels_first=first, which=which) for which in range(len(call.inputs))]
    result = writer.node("Concat", names, axis=1 if first else rank - 1)[0]
    return writer.mark(result) if first else result


def _zero_padding(writer: GraphWriter, call: Call) -> str:
    _needs_channels_last(call.layer)
    (top, bottom), (left, right) = call.layer.padding
    pads = writer.constant("pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    return writer.mark(writer.node("Pad", [writer.input(call, channels_first=True), pads])[0])


WRITERS: dict[type, Callable[[GraphWriter, Call], str]] = {
    **dict.fromkeys(DOES_NOTHING, _same),
    layers.Rescaling: _rescaling,
    layers.Normalization: _normalization,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.Dense: _dense,
    layers.MaxPooling2D: _pool("MaxPool"),
    layers.AveragePooling2D: _pool("AveragePool"),
    layers.GlobalMaxPooling2D: _global_pool("GlobalMaxPool"),
    layers.GlobalAveragePooling2D: _global_pool("GlobalAveragePool"),
    layers.BatchNormalization: _batch_normalization,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.Softmax: _softmax,
    layers.Add: _add,
    layers.Concatenate: _concatenate,
    layers.ZeroPadding2D: _zero_padding,
}


def _writer_of(layer: keras.Layer) -> Callable[[GraphWriter, Call], str]:
    # The exact type: a subclass may compute something else.
    if type(layer) not in WRITERS:
        raise UnsupportedLayer(f"layer {layer.name} ({type(layer).__name__})")
    return WRITERS[type(layer)]


def _needs_channels_last(layer: keras.Layer) -> None:
    if layer.data_format != "channels_last":
        raise UnsupportedLayer(f"layer {layer.name} with channels first")


def _auto_pad(padding: str) -> str:
    if padding not in ("same", "valid"):
        raise UnsupportedLayer(f"padding {padding!r}")
    return "SAME_UPPER" if padding == "same" else "VALID"
