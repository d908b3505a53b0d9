"""onnx-int8: the run's `model.onnx` with 8-bit weights and activations, statically quantised on validation images.

Quantised as onnxruntime.quantization does it, in ONNX's own operators (a QuantizeLinear and a DequantizeLinear around
each layer), which ONNX Runtime turns into integer layers when it opens the file. Around that, as little as possible
stays in floating point.

A first convolution over greyscale images is written anew, so that integer kernels run it at full speed. ONNX Runtime's
integer convolutions take channels four at a time, and a greyscale image has one: it was four times slower than the same
layer in floating point, and took as long as the two large layers behind it together. Four neighbouring columns as four
channels, [n, height, width, 1] to [n, height, width / 4, 4], are the same bytes; four times the filters, one set a
column, give [n, height, width / 4, 4 * filters], which are the same bytes as [n, height, width, filters]. The kernels
are the same numbers and zeros, so the result is the same, bit for bit.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from eyespot.data.dataset import Split
from eyespot.errors import ExportError, first_line
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.exporting.onnx import FILE
from eyespot.files import replacing
from eyespot.inference.metadata import CARD_KEY, LOGITS, read_metadata
from eyespot.inference.predictor import Predictor
from eyespot.onnx_writer.graph_writer import OPSET
from eyespot.random import seed_for
from eyespot.shapes import Float32, Shaped, UInt8

AT_ONCE = 4
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
RISING = {"LeakyRelu", "Sigmoid", "Tanh"}  # never fall: the largest value stays the largest
LAYOUT = {"Transpose", "Flatten", "Reshape"}
LARGEST_PIXEL = 255
CALIBRATION = 512  # images, which show the range of each activation
BATCH = 64
QUANTISED = [
    "Conv", "Gemm", "MatMul", "Relu", "LeakyRelu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Add",
    "Concat", "Flatten", "Reshape", "Transpose", "Pad",
]  # fmt: skip


class OnnxInt8Format:
    """Weights in int8, one scale a channel; activations in uint8; logits and what follows in float32."""

    name = "onnx-int8"
    inside = ("rescaling", "calibration", "class_names", "rejection", "card")

    def write(self, source: ExportSource, folder: Path) -> None:
        """One file, which `Predictor` and any ONNX runtime open."""
        try:
            model = quantise(source.onnx, calibration_pictures(source.validation))
        except Exception as error:  # noqa: BLE001 - the quantiser raises many types for one cause: it cannot
            raise ExportError(f"The model cannot be quantised ({first_line(error)}): export it as onnx.") from None
        if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise ExportError("The model has no layer that can be quantised: export it as onnx.")
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid("", OPSET))  # the quantiser lists more than it uses
        onnx.helper.set_model_props(model, {**read_metadata(source.onnx), CARD_KEY: source.card})
        with replacing(folder / FILE) as path:
            onnx.save(model, path)

    def opened(self, folder: Path) -> PredictFunction:
        """By ONNX Runtime."""
        return Predictor(folder / FILE).probabilities


FORMAT = OnnxInt8Format()


def quantise(path: Path, images: UInt8[np.ndarray, "n height width channels"]) -> onnx.ModelProto:
    """A float model in 8 bits; raises whatever ONNX Runtime's quantiser does."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _quiet():
        simplified, result = Path(folder) / "simple.onnx", Path(folder) / "int8.onnx"
        _simplify(path, simplified)
        model = onnx.load(simplified)
        pool_before_activation(model)
        columns_as_channels(model)
        quantize_static(
            model,
            result,
            _CalibrationReader(images),
            QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        model = onnx.load(result)
    pixels_as_they_are(model)
    logits_in_full(model)
    onnx.checker.check_model(model)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises on the root logger to do what has been done."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)


def _simplify(path: Path, simplified: Path) -> None:
    """Layers in one node each, as ONNX Runtime's own first pass makes them: Gemm, convolutions with what follows."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simplified)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pool_before_activation(model: onnx.ModelProto) -> None:
    """Takes the largest of several values first and the activation then, which is the same for a quarter of the work.

    A `Relu` stays where it is: in a quantised convolution it costs nothing.
    """
    graph = GraphEditor(model)
    for pool in list(graph.nodes("MaxPool")):
        activation = graph.maker(pool.input[0])
        if activation is None or not _may_wait(activation) or not graph.only_user(pool.input[0]):
            continue
        first_node, second_node = onnx.NodeProto(), onnx.NodeProto()
        first_node.CopyFrom(pool)
        second_node.CopyFrom(activation)
        first_node.input[:], first_node.output[:] = activation.input, activation.output
        second_node.input[:], second_node.output[:] = activation.output, pool.output
        activation.CopyFrom(first_node)  # in the place of the one that came first
        pool.CopyFrom(second_node)


class GraphEditor:
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
        """Shape of the graph's only input, without the number of images."""
        return tuple(dimension.dim_value for dimension in self._graph.input[0].type.tensor_type.shape.dim[1:])

    def array(self, name: str) -> Shaped[np.ndarray, "..."] | None:
        """A constant; None where it is none."""
        initializer = next((tensor for tensor in self._graph.initializer if tensor.name == name), None)
        return None if initializer is None else numpy_helper.to_array(initializer)

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
        initializer = next(tensor for tensor in self._graph.initializer if tensor.name == name)
        if self.only_user(name) is None:
            return self.constant(f"{name}_changed", value)
        initializer.CopyFrom(numpy_helper.from_array(np.asarray(value), name))
        return name

    def insert(self, before: onnx.NodeProto, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node in the place before another."""
        position = next(index for index, node in enumerate(self._graph.node) if before.output[0] in node.output)
        self._graph.node.insert(position, helper.make_node(kind, inputs, [output], **attributes))
        return output

    def remove(self, *nodes: onnx.NodeProto) -> None:
        """Takes nodes out."""
        for node in nodes:
            self._graph.node.remove(node)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes as plain values."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _may_wait(node: onnx.NodeProto) -> bool:
    return node.op_type in RISING and attributes(node).get("alpha", 0.01) >= 0


def columns_as_channels(model: onnx.ModelProto) -> None:
    """Rewrites the first convolution; nothing changes where it is of another kind or the width does not divide."""
    graph = GraphEditor(model)
    height, width, channels = graph.input_shape()
    convolution = _first_convolution(graph)
    if convolution is None or channels != 1:
        return
    (kernel, *bias), settings = (graph.array(name) for name in convolution.input[1:]), attributes(convolution)
    if kernel is None or any(step != 1 for step in (*settings.get("strides", []), *settings.get("dilations", []))):
        return
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    rows = height + top + bottom - kernel.shape[2] + 1
    columns = width + left + right - kernel.shape[3] + 1
    if width % AT_ONCE or columns % AT_ONCE or settings.get("auto_pad", b"NOTSET") != b"NOTSET":
        return
    grouped, pad_left = _grouped(kernel, left)
    pad_right = columns // AT_ONCE - width // AT_ONCE - pad_left + grouped.shape[3] - 1
    if pad_right < 0:
        return
    _enter(graph, convolution, (height, width))
    convolution.input[1] = graph.replace(convolution.input[1], grouped)
    for vector in bias:
        convolution.input[2] = graph.replace(convolution.input[2], np.tile(np.asarray(vector), AT_ONCE))
    del convolution.attribute[:]
    convolution.attribute.extend(
        onnx.helper.make_attribute(name, value)
        for name, value in {"kernel_shape": list(grouped.shape[2:]), "pads": [top, pad_left, bottom, pad_right]}.items()
    )
    _leave(graph, convolution, (rows, columns, kernel.shape[0]))


def _first_convolution(graph: GraphEditor) -> onnx.NodeProto | None:
    """The one that the pixels reach with nothing but their rescaling between."""
    node = graph.only_user("pixels")
    while node is not None and node.op_type != "Conv":
        rescaling = node.op_type in {"Mul", "Add"} and graph.scalar(node.input[1]) is not None
        if not rescaling and node.op_type not in {"Cast", "Transpose"}:
            return None
        node = graph.only_user(node.output[0])
    return node


def _grouped(
    kernel: Float32[np.ndarray, "filters 1 rows columns"], left: int
) -> tuple[Float32[np.ndarray, "more 4 rows blocks"], int]:
    """The kernel over blocks of four columns, and how many blocks of padding go before the first."""
    filters, _, rows, columns = kernel.shape
    first_block, last_block = -left // AT_ONCE, (AT_ONCE - 1 + columns - 1 - left) // AT_ONCE
    grouped = np.zeros((AT_ONCE, filters, AT_ONCE, rows, last_block - first_block + 1), np.float32)
    for position in range(AT_ONCE):
        for column in range(columns):
            block, channel = divmod(position + column - left, AT_ONCE)
            grouped[position, :, channel, :, block - first_block] = kernel[:, 0, :, column]
    return grouped.reshape(AT_ONCE * filters, AT_ONCE, rows, last_block - first_block + 1), -first_block


def _enter(graph: GraphEditor, convolution: onnx.NodeProto, size: tuple[int, int]) -> None:
    height, width = size
    shape = graph.constant("columns_in", np.array([0, height, width // AT_ONCE, AT_ONCE], np.int64))
    transpose = graph.maker(convolution.input[0])
    is_transpose = transpose is not None and transpose.op_type == "Transpose"
    name = transpose.input[0] if transpose is not None and is_transpose else convolution.input[0]
    blocks = graph.insert(convolution, "Reshape", [name, shape], "columns_blocks")
    convolution.input[0] = graph.insert(convolution, "Transpose", [blocks], "columns_first", perm=TO_CHANNELS_FIRST)
    if is_transpose:
        graph.remove(transpose)


def _leave(graph: GraphEditor, convolution: onnx.NodeProto, size: tuple[int, int, int]) -> None:
    """Behind a Relu, which belongs to its convolution."""
    follower = graph.only_user(convolution.output[0])
    last_node = follower if follower is not None and follower.op_type == "Relu" else convolution
    name = last_node.output[0]
    users = graph.users(name)
    last_node.output[0] = "columns_out"
    user = users[0]
    shape = graph.constant("columns_shape", np.array([0, *size], np.int64))
    transposed = graph.insert(user, "Transpose", ["columns_out"], "columns_last", perm=TO_CHANNELS_LAST)
    reshaped = graph.insert(user, "Reshape", [transposed, shape], "columns_whole")
    graph.insert(user, "Transpose", [reshaped], name, perm=TO_CHANNELS_FIRST)


class _CalibrationReader:
    """Pictures a batch at a time, as the quantiser asks for them."""

    def __init__(self, images: UInt8[np.ndarray, "n height width channels"]) -> None:
        self._batches: Iterator[dict[str, Any]] = (
            {"pixels": images[start : start + BATCH]} for start in range(0, len(images), BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def pixels_as_they_are(model: onnx.ModelProto) -> None:
    """Lets the first layer take the pixels themselves, whose scale of 1/255 is a quantisation already.

    What turns them into floating point, scales them and quantises them again goes. Where they are not rescaled by one
    number, or are used twice, nothing changes.
    """
    graph = GraphEditor(model)
    node = graph.only_user("pixels")
    scale, offset, unneeded, layouts = 1.0, 0.0, [], []
    while node is not None and node.op_type != "QuantizeLinear":
        factor = graph.scalar(node.input[1]) if node.op_type in {"Mul", "Add"} else None
        if node.op_type in LAYOUT:
            layouts.append(node)
        elif factor is not None:
            scale, offset = (scale * factor, offset * factor) if node.op_type == "Mul" else (scale, offset + factor)
            unneeded.append(node)
        elif node.op_type == "Cast":
            unneeded.append(node)
        else:
            return
        node = graph.only_user(node.output[0])
    zero = -offset / scale if scale > 0 else -1.0
    if node is None or not 0 <= zero <= LARGEST_PIXEL or zero != round(zero):
        return
    name = "pixels"
    for layout in layouts:
        layout.input[0], name = name, layout.output[0]
    constants = [graph.constant("pixel_scale", np.float32(scale)), graph.constant("pixel_zero", np.uint8(zero))]
    for user in graph.users(node.output[0]):
        user.input[:] = [name, *constants]
    graph.remove(*unneeded, node)


def logits_in_full(model: onnx.ModelProto) -> None:
    """Keeps the logits from being rounded to 256 levels: they are few, and probabilities are made of them."""
    graph = GraphEditor(model)
    node = graph.maker(LOGITS)
    while node is not None and node.op_type == "Identity":
        node = graph.maker(node.input[0])
    if node is None or node.op_type != "DequantizeLinear":
        return
    rounded = graph.maker(node.input[0])
    source = graph.maker(rounded.input[0]) if rounded is not None and graph.only_user(rounded.output[0]) else None
    if rounded is not None and source is not None and graph.only_user(source.output[0]):
        source.output[0] = node.output[0]
        graph.remove(node, rounded)


def calibration_pictures(split: Split) -> UInt8[np.ndarray, "n height width channels"]:
    """At most 512 of a split, the same ones each time."""
    generator = np.random.default_rng(seed_for(0, "int8"))
    rows = np.sort(generator.permutation(len(split))[:CALIBRATION])
    images: UInt8[np.ndarray, "n height width channels"] = np.asarray(split.take(rows).images)
    return images
