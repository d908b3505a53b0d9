"""Keras layers as ONNX nodes, one function each.

Images travel as ONNX wants them, [n, channels, height, width], from the first convolution or pool on, and are turned
back where a layer looks at the order of values (Flatten, Reshape).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from eyespot.backend import keras
from eyespot.models.graph import Call, kind_of_operation, same_padding
from eyespot.onnx_writer.graph_writer import IMAGE_RANK, GraphWriter, UnsupportedLayer

layers = keras.layers
DOES_NOTHING = (  # outside training
    layers.Dropout, layers.SpatialDropout2D, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout,
    layers.ActivityRegularization, layers.Identity, layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation,
    layers.RandomZoom, layers.RandomShear, layers.RandomPerspective, layers.RandomBrightness, layers.RandomContrast,
    layers.RandomErasing, layers.RandomGaussianBlur,
)  # fmt: skip


def write_layer(writer: GraphWriter, call: Call) -> None:
    """Adds a layer's nodes.

    Raises:
        UnsupportedLayer: it has no ONNX form here.
    """
    # The exact type: a subclass may compute something else.
    kind = type(call.layer)
    if kind not in WRITERS:
        raise UnsupportedLayer(f"layer {call.layer.name} ({kind.__name__})")
    writer.bind(call.output, WRITERS[kind](writer, call))


def _same(writer: GraphWriter, call: Call) -> str:
    """Layers that do nothing outside training."""
    return writer.input(call, channels_first=writer.is_channels_first(call))


def _rescaling(writer: GraphWriter, call: Call) -> str:
    """An image is rescaled in ONNX's order: with one channel last, ONNX Runtime multiplied fifty times more slowly."""
    scale, offset = (np.asarray(value, np.float32) for value in (call.layer.scale, call.layer.offset))
    channels_first = len(call.inputs[0].shape) == IMAGE_RANK and max(scale.ndim, offset.ndim) <= 1
    if channels_first:  # one number a channel
        scale, offset = (value.reshape(-1, 1, 1) if value.ndim else value for value in (scale, offset))
    name = writer.node("Mul", [writer.input(call, channels_first=channels_first), writer.constant("scale", scale)])[0]
    result = writer.node("Add", [name, writer.constant("offset", offset)])[0] if offset.any() else name
    return writer.mark(result) if channels_first else result


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


def _dense(writer: GraphWriter, call: Call) -> str:
    kernel = writer.constant("kernel", keras.ops.convert_to_numpy(call.layer.kernel))
    name = writer.node("MatMul", [writer.input(call, channels_first=False), kernel])[0]
    if call.layer.use_bias:
        name = writer.node("Add", [name, writer.constant("bias", keras.ops.convert_to_numpy(call.layer.bias))])[0]
    return writer.activated(name, call.layer.activation)


def _max_pool(writer: GraphWriter, call: Call) -> str:
    layer = call.layer
    _needs_channels_last(layer)
    shape, strides, pads = list(layer.pool_size), list(layer.strides), _pads(call, layer.pool_size)
    name = writer.input(call, channels_first=True)
    return writer.mark(writer.node("MaxPool", [name], kernel_shape=shape, strides=strides, pads=pads)[0])


def _average_pool(writer: GraphWriter, call: Call) -> str:
    layer = call.layer
    _needs_channels_last(layer)
    shape, strides, pads = list(layer.pool_size), list(layer.strides), _pads(call, layer.pool_size)
    name = writer.input(call, channels_first=True)
    if pads[:2] != pads[2:]:
        # Keras on PyTorch repeats the border where the two sides differ (and counts it), instead of leaving it out.
        top, left, bottom, right = pads
        pad_sizes = writer.constant("pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        name, pads = writer.node("Pad", [name, pad_sizes], mode="edge")[0], [0, 0, 0, 0]
    return writer.mark(writer.node("AveragePool", [name], kernel_shape=shape, strides=strides, pads=pads)[0])


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
    channels_first = writer.is_channels_first(call)
    shape = (1, -1, 1, 1) if channels_first else (1,) * (rank - 1) + (-1,)
    name = writer.input(call, channels_first=channels_first)
    scaled = writer.node("Mul", [name, writer.constant("scale", scale.reshape(shape))])[0]
    result = writer.node("Add", [scaled, writer.constant("shift", shift.reshape(shape))])[0]
    return writer.mark(result) if channels_first else result


def _layer_normalization(writer: GraphWriter, call: Call) -> str:
    layer = call.layer
    rank = len(call.inputs[0].shape)
    axes = layer.axis if isinstance(layer.axis, int) else tuple(layer.axis)
    if axes not in (-1, rank - 1, (-1,), (rank - 1,)) or getattr(layer, "rms_scaling", False):
        raise UnsupportedLayer(f"LayerNormalization over axis {layer.axis}")
    numbers, width = keras.ops.convert_to_numpy, call.inputs[0].shape[-1]
    scale = numbers(layer.gamma) if layer.scale else np.ones(width, np.float32)
    shift = numbers(layer.beta) if layer.center else np.zeros(width, np.float32)
    inputs = [writer.input(call, channels_first=False), writer.constant("scale", scale), writer.constant("bias", shift)]
    return writer.node("LayerNormalization", inputs, axis=-1, epsilon=float(layer.epsilon))[0]


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
    name = _same(writer, call)
    if layer.max_value is not None and not layer.negative_slope:
        return writer.clipped(name, layer.max_value)
    if layer.negative_slope:
        result = writer.node("LeakyRelu", [name], alpha=float(layer.negative_slope))[0]
    else:
        result = writer.node("Relu", [name])[0]
    if layer.max_value is not None:
        result = writer.node("Min", [result, writer.constant("max_value", np.float32(layer.max_value))])[0]
    return writer.marked_as(name, result)


def _leaky_relu(writer: GraphWriter, call: Call) -> str:
    name = _same(writer, call)
    return writer.marked_as(name, writer.node("LeakyRelu", [name], alpha=float(call.layer.negative_slope))[0])


def _softmax(writer: GraphWriter, call: Call) -> str:
    if call.layer.axis not in (-1, len(call.inputs[0].shape) - 1):
        raise UnsupportedLayer(f"Softmax over axis {call.layer.axis}")
    return writer.node("Softmax", [writer.input(call, channels_first=False)], axis=-1)[0]


def _elementwise(kind: str) -> Callable[[GraphWriter, Call], str]:
    """Add and Multiply, of two images or more; they are broadcast where all have the same number of dimensions."""

    def write(writer: GraphWriter, call: Call) -> str:
        if len({len(tensor.shape) for tensor in call.inputs}) > 1:
            raise UnsupportedLayer(f"{call.layer.name} of values with different numbers of dimensions")
        channels_first = writer.is_channels_first(call)
        result = writer.input(call, channels_first=channels_first)
        for index in range(1, len(call.inputs)):
            result = writer.node(kind, [result, writer.input(call, channels_first=channels_first, which=index)])[0]
        return writer.mark(result) if channels_first else result

    return write


def _operator(kind: str) -> Callable[[GraphWriter, Call], str]:
    """An operator on two values, or on one and a number; for operators whose sides may be exchanged."""

    def write(writer: GraphWriter, call: Call) -> str:
        arguments = call.node.arguments
        numbers = [value for value in arguments.args if isinstance(value, int | float)]
        if arguments.kwargs or len(call.inputs) + len(numbers) != 2 or call.output.dtype != "float32":  # noqa: PLR2004
            raise UnsupportedLayer(f"operation {call.layer.name} on {call.output.dtype}")
        if not numbers:
            return _elementwise(kind)(writer, call)
        name = _same(writer, call)
        return writer.marked_as(name, writer.node(kind, [name, writer.constant("number", np.float32(numbers[0]))])[0])

    return write


def _concatenate(writer: GraphWriter, call: Call) -> str:
    rank = len(call.inputs[0].shape)
    if call.layer.axis not in (-1, rank - 1):
        raise UnsupportedLayer(f"Concatenate over axis {call.layer.axis}")
    channels_first = writer.is_channels_first(call)
    names = [writer.input(call, channels_first=channels_first, which=index) for index in range(len(call.inputs))]
    result = writer.node("Concat", names, axis=1 if channels_first else rank - 1)[0]
    return writer.mark(result) if channels_first else result


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
    layers.MaxPooling2D: _max_pool,
    layers.AveragePooling2D: _average_pool,
    layers.GlobalMaxPooling2D: _global_pool("GlobalMaxPool"),
    layers.GlobalAveragePooling2D: _global_pool("GlobalAveragePool"),
    layers.BatchNormalization: _batch_normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.Softmax: _softmax,
    layers.Add: _elementwise("Add"),
    layers.Multiply: _elementwise("Mul"),
    kind_of_operation(keras.ops.add, 1): _operator("Add"),
    kind_of_operation(keras.ops.multiply, 1): _operator("Mul"),
    layers.Concatenate: _concatenate,
    layers.ZeroPadding2D: _zero_padding,
}


def _convolved(writer: GraphWriter, call: Call, kernel: Any, groups: int) -> str:
    layer = call.layer
    _needs_channels_last(layer)
    inputs = [writer.input(call, channels_first=True), writer.constant("kernel", kernel)]
    if layer.use_bias:
        inputs.append(writer.constant("bias", keras.ops.convert_to_numpy(layer.bias)))
    pads = _pads(call, layer.kernel_size, layer.dilation_rate)
    strides, dilations = list(layer.strides), list(layer.dilation_rate)
    name = writer.node("Conv", inputs, strides=strides, dilations=dilations, group=groups, pads=pads)[0]
    return writer.activated(writer.mark(name), layer.activation)


def _needs_channels_last(layer: keras.Layer) -> None:
    if layer.data_format != "channels_last":
        raise UnsupportedLayer(f"layer {layer.name} with channels first")


def _pads(call: Call, window: tuple[int, ...], dilations: tuple[int, ...] = (1, 1)) -> list[int]:
    """Padding before and after each side, [top, left, bottom, right]."""
    if call.layer.padding not in {"same", "valid"}:
        raise UnsupportedLayer(f"padding {call.layer.padding!r}")
    return list(same_padding(call.layer, call.inputs[0].shape[1:3], window, dilations))
