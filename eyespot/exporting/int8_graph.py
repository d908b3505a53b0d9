"""What is done to a graph around its quantisation, so that as little as possible of it stays in floating point."""

import numpy as np
import onnx

from eyespot.exporting.editing import Editor, attributes

RISING = {"LeakyRelu", "Sigmoid", "Tanh"}  # never fall: the largest value stays the largest
LAYOUT = {"Transpose", "Flatten", "Reshape"}
LARGEST_PIXEL = 255


def pool_before_activation(model: onnx.ModelProto) -> None:
    """Takes the largest of several values first and the activation then, which is the same for a quarter of the work.

    A `Relu` stays where it is: in a quantised convolution it costs nothing.
    """
    graph = Editor(model)
    for pool in list(graph.nodes("MaxPool")):
        activation = graph.maker(pool.input[0])
        if activation is None or not _may_wait(activation) or not graph.only_user(pool.input[0]):
            continue
        first, second = onnx.NodeProto(), onnx.NodeProto()
        first.CopyFrom(pool)
        second.CopyFrom(activation)
        first.input[:], first.output[:] = activation.input, activation.output
        second.input[:], second.output[:] = activation.output, pool.output
        activation.CopyFrom(first)  # in the place of the one that came first
        pool.CopyFrom(second)


def _may_wait(node: onnx.NodeProto) -> bool:
    return node.op_type in RISING and attributes(node).get("alpha", 0.01) >= 0


def pixels_as_they_are(model: onnx.ModelProto) -> None:
    """Lets the first layer take the pixels themselves, whose scale of 1/255 is a quantisation already.

    What turns them into floating point, scales them and quantises them again goes. Where they are not rescaled by one
    number, or are used twice, nothing changes.
    """
    graph = Editor(model)
    node = graph.only_user("pixels")
    scale, offset, doomed, moved = 1.0, 0.0, [], []
    while node is not None and node.op_type != "QuantizeLinear":
        factor = graph.scalar(node.input[1]) if node.op_type in {"Mul", "Add"} else None
        if node.op_type in LAYOUT:
            moved.append(node)
        elif factor is not None:
            scale, offset = (scale * factor, offset * factor) if node.op_type == "Mul" else (scale, offset + factor)
            doomed.append(node)
        elif node.op_type == "Cast":
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
    graph = Editor(model)
    given = graph.maker("logits")
    while given is not None and given.op_type == "Identity":
        given = graph.maker(given.input[0])
    if given is None or given.op_type != "DequantizeLinear":
        return
    rounded = graph.maker(given.input[0])
    source = graph.maker(rounded.input[0]) if rounded is not None and graph.only_user(rounded.output[0]) else None
    if rounded is not None and source is not None and graph.only_user(source.output[0]):
        source.output[0] = given.output[0]
        graph.remove(given, rounded)
