"""ONNX files of a few kilobytes that would take gigabytes, each by another operator; and models without an answer."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyespot.inference.metadata import METADATA_KEY
from tests.inference.hostile import honest

node = helper.make_node


def constant(name: str, value: object, kind: type = np.int64) -> onnx.NodeProto:
    return node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value, kind), name))


def summed(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """An honest classifier to whose pixels the sum of a large tensor `c` is added."""
    ends = [node("ReduceSum", ["c"], ["sum"], keepdims=0), node("Cast", ["sum"], ["number"], to=TensorProto.FLOAT)]
    return honest(None, *nodes, *ends, node("Add", ["flat", "number"], ["added"]))


def doubled(first: onnx.NodeProto, axis: int) -> onnx.ModelProto:
    steps = [node("Concat", [f"x{i}", f"x{i}"], [f"x{i + 1}"], axis=axis) for i in range(28)]
    return summed(first, *steps, node("Identity", ["x28"], ["c"]))


ROWS = [constant("rows", np.ones((25_000, 1)), np.float32), constant("columns", np.ones((1, 25_000)), np.float32)]
CHANNELS = node("Transpose", ["numbers"], ["channels"], perm=[0, 3, 1, 2])
GREEDY = {
    "ConstantOfShape": summed(constant("s", [1, 650_000_000]), node("ConstantOfShape", ["s"], ["c"])),
    "ConstantOfShape of a computed shape": summed(
        constant("s", [1, 65_000]), constant("k", [1, 10_000]), node("Mul", ["s", "k"], ["p"]),
        node("ConstantOfShape", ["p"], ["c"]),
    ),
    "ConstantOfShape of the pixels' shape": summed(
        node("Shape", ["flat"], ["s"]), constant("k", [1, 200_000_000]), node("Mul", ["s", "k"], ["p"]),
        node("ConstantOfShape", ["p"], ["c"]),
    ),
    "Expand": summed(
        constant("v", [[0]], np.float32), constant("s", [25_000, 25_000]), node("Expand", ["v", "s"], ["c"])
    ),
    "Tile": summed(constant("s", [1, 200_000_000]), node("Tile", ["flat", "s"], ["c"])),
    "Range": summed(
        constant("a", 0), constant("b", 400_000_000), constant("d", 1), node("Range", ["a", "b", "d"], ["c"])
    ),
    "Pad": summed(constant("p", [0, 0, 0, 700_000_000]), node("Pad", ["flat", "p"], ["c"])),
    "Resize": summed(
        CHANNELS, constant("s", [1, 1, 14_000, 14_000], np.float32), node("Resize", ["channels", "", "s"], ["c"])
    ),
    "padded Conv": summed(
        CHANNELS, constant("w", [[[[1]]]], np.float32), node("Conv", ["channels", "w"], ["c"], pads=[12_000] * 4)
    ),
    "OneHot": summed(
        node("Cast", ["flat"], ["i"], to=TensorProto.INT64), constant("d", [200_000_000]),
        constant("v", [0, 1], np.float32), node("OneHot", ["i", "d", "v"], ["c"]),
    ),
    "RandomNormal": summed(node("RandomNormal", [], ["c"], shape=[650_000_000])),
    "outer product by Mul": summed(*ROWS, node("Mul", ["rows", "columns"], ["c"])),
    "outer product by MatMul": summed(*ROWS, node("MatMul", ["rows", "columns"], ["c"])),
    "doubled pixels": doubled(node("Identity", ["flat"], ["x0"]), 1),
    "doubled constant": doubled(constant("x0", [1]), 0),
}  # fmt: skip


def classifier(names: int = 2, *, weights: object = None, **changes: object) -> onnx.ModelProto:
    """An honest classifier of two classes with other weights, and the names of some classes."""
    given = None if weights is None else numpy_helper.from_array(np.asarray(weights, np.float32), "weights")
    model = honest(given)
    size = {"height": 2, "width": 2, "channels": 1}
    told = {"class_names": [str(name) for name in range(names)], "input": size, **changes}
    helper.set_model_props(model, {METADATA_KEY: json.dumps(told)})
    return model


def no_softmax() -> onnx.ModelProto:
    model = classifier()
    model.graph.node[-1].op_type = "Identity"
    return model


def written(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
