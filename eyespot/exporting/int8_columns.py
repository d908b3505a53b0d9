"""A first convolution over grey pictures, written so that integer kernels run it at full speed.

ONNX Runtime's integer convolutions take channels four at a time, and a grey picture has one: it was four times slower
than the same layer in floating point, and took as long as the two large layers behind it together. Four neighbouring
columns as four channels, [n, height, width, 1] to [n, height, width / 4, 4], are the same bytes; four times the
filters, one set a column, give [n, height, width / 4, 4 * filters], which are the same bytes as
[n, height, width, filters]. The kernels are the same numbers and zeros, so the result is the same, bit for bit.
"""

import numpy as np
import onnx

from eyespot.exporting.editing import Editor, attributes
from eyespot.shapes import Float32

AT_ONCE = 4
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def columns_as_channels(model: onnx.ModelProto) -> None:
    """Rewrites the first convolution; nothing changes where it is of another kind or the width does not divide."""
    graph = Editor(model)
    height, width, channels = graph.input_shape()
    convolution = _first_convolution(graph)
    if convolution is None or channels != 1:
        return
    (kernel, *bias), told = (graph.array(name) for name in convolution.input[1:]), attributes(convolution)
    if kernel is None or any(step != 1 for step in (*told.get("strides", []), *told.get("dilations", []))):
        return
    top, left, bottom, right = told.get("pads", [0, 0, 0, 0])
    rows = height + top + bottom - kernel.shape[2] + 1
    columns = width + left + right - kernel.shape[3] + 1
    if width % AT_ONCE or columns % AT_ONCE or told.get("auto_pad", b"NOTSET") != b"NOTSET":
        return
    grouped, before = _grouped(kernel, left)
    after = columns // AT_ONCE - width // AT_ONCE - before + grouped.shape[3] - 1
    if after < 0:
        return
    _enter(graph, convolution, (height, width))
    convolution.input[1] = graph.replace(convolution.input[1], grouped)
    for each in bias:
        convolution.input[2] = graph.replace(convolution.input[2], np.tile(np.asarray(each), AT_ONCE))
    del convolution.attribute[:]
    convolution.attribute.extend(
        onnx.helper.make_attribute(name, value)
        for name, value in {"kernel_shape": list(grouped.shape[2:]), "pads": [top, before, bottom, after]}.items()
    )
    _leave(graph, convolution, (rows, columns, kernel.shape[0]))


def _first_convolution(graph: Editor) -> onnx.NodeProto | None:
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
    first, last = -left // AT_ONCE, (AT_ONCE - 1 + columns - 1 - left) // AT_ONCE
    grouped = np.zeros((AT_ONCE, filters, AT_ONCE, rows, last - first + 1), np.float32)
    for place in range(AT_ONCE):
        for column in range(columns):
            block, channel = divmod(place + column - left, AT_ONCE)
            grouped[place, :, channel, :, block - first] = kernel[:, 0, :, column]
    return grouped.reshape(AT_ONCE * filters, AT_ONCE, rows, last - first + 1), -first


def _enter(graph: Editor, convolution: onnx.NodeProto, size: tuple[int, int]) -> None:
    height, width = size
    shape = graph.constant("columns_in", np.array([0, height, width // AT_ONCE, AT_ONCE], np.int64))
    turned = graph.maker(convolution.input[0])
    whole = turned is not None and turned.op_type == "Transpose"
    name = turned.input[0] if turned is not None and whole else convolution.input[0]
    blocks = graph.insert(convolution, "Reshape", [name, shape], "columns_blocks")
    convolution.input[0] = graph.insert(convolution, "Transpose", [blocks], "columns_first", perm=TO_CHANNELS_FIRST)
    if whole:
        graph.remove(turned)


def _leave(graph: Editor, convolution: onnx.NodeProto, size: tuple[int, int, int]) -> None:
    """Behind a Relu, which belongs to its convolution."""
    follower = graph.only_user(convolution.output[0])
    last = follower if follower is not None and follower.op_type == "Relu" else convolution
    name = last.output[0]
    users = graph.users(name)
    last.output[0] = "columns_out"
    before = users[0]
    shape = graph.constant("columns_shape", np.array([0, *size], np.int64))
    turned = graph.insert(before, "Transpose", ["columns_out"], "columns_last", perm=TO_CHANNELS_LAST)
    whole = graph.insert(before, "Reshape", [turned, shape], "columns_whole")
    graph.insert(before, "Transpose", [whole], name, perm=TO_CHANNELS_FIRST)
