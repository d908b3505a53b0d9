"""Real models of the embedded digits, made without a training framework."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from eyespot.data.dataset import Split
from eyespot.evaluation.ood_fit import fit_rejection
from eyespot.files import replacing
from eyespot.inference.metadata import METADATA_KEY, REJECTION_KEY
from eyespot.inference.predictor import Predictor
from eyespot.preprocessing.measure import measure_appearance

NAMES = tuple(str(digit) for digit in range(10))
SIZE = {"height": 8, "width": 8, "channels": 1, "dtype": "uint8", "range": [0, 255]}


@cache
def digits() -> tuple[Split, Split]:
    """1,200 training and 597 test images, 8x8x1."""
    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = found.target.astype(np.int64)
    return Split(images[:1200], labels[:1200]), Split(images[1200:], labels[1200:])


@cache
def fitted() -> tuple[np.ndarray, np.ndarray]:
    """Weights [64, 10] and biases of a logistic regression, of pixels 0-255."""
    train, _ = digits()
    pixels = np.asarray(train.images).reshape(len(train), -1) / 255
    model = LogisticRegression(C=1.0, max_iter=1000).fit(pixels, train.labels)
    return (model.coef_.T / 255).astype(np.float32), model.intercept_.astype(np.float32)


def linear(weights: np.ndarray, biases: np.ndarray) -> onnx.ModelProto:
    """A linear classifier as eyespot writes one."""
    constants = {
        "weights": weights, "biases": biases, "temperature": np.float32(1), "flat": np.array([-1, len(weights)]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["numbers", "flat"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["product"]),
        helper.make_node("Add", ["product", "biases"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["probabilities"], axis=-1),
    ]
    outputs = {"logits": len(biases), "probabilities": len(biases), "features": len(weights)}
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 8, 8, 1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def write_model(
    folder: Path,
    class_names: tuple[str, ...] = NAMES,
    *,
    photographs: bool = False,
    rejects: bool = False,
    swapped: bool = False,
) -> Path:
    """Writes `model.onnx` into a folder, as a replacement of one that is there.

    Args:
        photographs: it says what its training images look like, so that photographs are brought to that.
        rejects: it can tell pictures that are none of its classes.
        swapped: it says 9 for a 0, 8 for a 1 and so on.
    """
    weights, biases = fitted()
    order = slice(None, None, -1) if swapped else slice(None)
    model = linear(np.ascontiguousarray(weights[:, order]), np.ascontiguousarray(biases[order]))
    train, _ = digits()
    looks = measure_appearance(train.images).to_dict() if photographs else None
    told = {"class_names": list(class_names), "input": SIZE, "resize": "squash", "appearance": looks}
    properties = {METADATA_KEY: json.dumps(told)}
    helper.set_model_props(model, properties)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    with replacing(path) as sibling:
        onnx.save(model, sibling)
        if rejects:
            rejection = fit_rejection(Predictor(sibling), train, None, 0)
            helper.set_model_props(model, {**properties, REJECTION_KEY: rejection.dump()})
            onnx.save(model, sibling)
    return path
