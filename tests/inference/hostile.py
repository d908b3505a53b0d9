"""Hostile ONNX files, one for each class of hole, each written by a function of its own.

Each is told of a folder, and of a secret beside that folder, which some of them read if they can.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from eyespot.inference.metadata import METADATA_KEY

HUGE = 2**40
WEIGHTS = np.arange(8, dtype=np.float32).reshape(4, 2)


def honest(weights: TensorProto | None = None, *nodes: onnx.NodeProto, opsets: tuple[str, ...] = ()) -> onnx.ModelProto:
    """A classifier of 2x2 pictures, as eyespot might write it, with other nodes between picture and weights."""
    last = nodes[-1].output[0] if nodes else "flat"
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["numbers"], ["flat"]),
            *nodes,
            helper.make_node("MatMul", [last, "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "hostile",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 2, 2, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [weights or numpy_helper.from_array(WEIGHTS, "weights")],
    )
    imports = [helper.make_opsetid(domain, 20 if domain == "" else 1) for domain in ("", *opsets)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    size = {"height": 2, "width": 2, "channels": 1}
    helper.set_model_props(model, {METADATA_KEY: json.dumps({"class_names": ["a", "b"], "input": size})})
    return model


def saved(model: onnx.ModelProto) -> Callable[[Path, Path], bytes]:
    return lambda folder, secret: model.SerializeToString()


def external(location: str, **place: int) -> TensorProto:
    """Weights that lie in another file."""
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=(4, 2), data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": 0, "length": 32, **place}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def by_its_path(folder: Path, secret: Path) -> bytes:
    return honest(external(str(secret))).SerializeToString()


def from_above(folder: Path, secret: Path) -> bytes:
    return honest(external(f"../{secret.name}")).SerializeToString()


def by_a_link(folder: Path, secret: Path) -> bytes:
    (folder / "weights.bin").symlink_to(secret)
    return honest(external("weights.bin")).SerializeToString()


def behind_the_end(folder: Path, secret: Path) -> bytes:
    (folder / "weights.bin").write_bytes(bytes(16))
    return honest(external("weights.bin")).SerializeToString()


def two_places(folder: Path, secret: Path) -> bytes:
    """One of them is harmless: who looks at the last may open the first."""
    (folder / "weights.bin").write_bytes(bytes(32))
    tensor = external(f"../{secret.name}")
    tensor.external_data.add(key="location", value="weights.bin")
    return honest(tensor).SerializeToString()


def in_runtime_format(folder: Path, secret: Path) -> bytes:
    """ONNX Runtime's own format, which it tells by its content, whatever the file is called."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "converted.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(honest().SerializeToString(), options, providers=["CPUExecutionProvider"])
    return (folder / "converted.ort").read_bytes()


def claimed(**fields: Any) -> TensorProto:
    """Weights that declare more than they hold."""
    return TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=(HUGE, 2), **fields)


def loop() -> onnx.NodeProto:
    """As often as an int64 can count."""
    inputs: tuple[tuple[Any, ...], ...] = (("i", 7, []), ("go", 9, []), ("x", 1, None))
    outputs: tuple[tuple[Any, ...], ...] = (("go_out", 9, []), ("x_out", 1, None))
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ("go", "x")],
        "body",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
    )
    return helper.make_node("Loop", ["", "", "flat"], ["looped"], body=body)


def sparse() -> onnx.NodeProto:
    values = TensorProto(name="values", data_type=TensorProto.FLOAT, dims=(0,))
    tensor = onnx.SparseTensorProto(
        values=values, indices=TensorProto(name="indices", data_type=TensorProto.INT64, dims=(0,)), dims=(HUGE,)
    )
    return helper.make_node("Constant", [], ["constant"], sparse_value=tensor)


def with_function() -> onnx.ModelProto:
    model = honest()
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], nodes, [helper.make_opsetid("", 20)]))
    return model


def other_pictures() -> onnx.ModelProto:
    model = honest()
    helper.set_model_props(
        model, {METADATA_KEY: model.metadata_props[0].value.replace('"height": 2', '"height": 90000')}
    )
    return model


OTHER = helper.make_node("Run", ["flat"], ["ran"], domain="com.hostile")
CONSTANT = helper.make_node("Constant", [], ["flat2"], value=claimed(raw_data=bytes(8)))
HOSTILE: dict[str, tuple[Callable[[Path, Path], bytes], str]] = {
    "external data by its path": (by_its_path, "no file in its own folder"),
    "external data from above": (from_above, "no file in its own folder"),
    "external data by a link": (by_a_link, "no file in its own folder"),
    "external data behind the end": (behind_the_end, "more of 'weights.bin' than there is"),
    "external data in two places": (two_places, "two places for one tensor"),
    "operator of another domain": (saved(honest(None, OTHER, opsets=("com.hostile",))), "not ONNX's own"),
    "another domain": (saved(honest(opsets=("com.microsoft",))), "not ONNX's own"),
    "operators of its own": (saved(with_function()), "operators of its own"),
    "endless loop": (saved(honest(None, loop())), "branches or loops"),
    "huge tensor, raw": (saved(honest(claimed(raw_data=bytes(32)))), "does not hold as much"),
    "huge tensor, typed": (saved(honest(claimed(float_data=[1.0]))), "does not hold as much"),
    "huge tensor, empty": (saved(honest(claimed())), "does not hold as much"),
    "huge constant": (saved(honest(None, CONSTANT)), "does not hold as much"),
    "huge sparse tensor": (saved(honest(None, sparse())), "sparse tensors"),
    "other pictures than it takes": (saved(other_pictures()), "other images than it says"),
    "two graphs": (lambda *_: honest().SerializeToString() * 2, "is there twice"),
    "runtime format": (in_runtime_format, "no message|damaged|cut short"),
    "cut short": (lambda *_: honest().SerializeToString()[:-20], "damaged, or cut short"),
}
