"""Write `model.onnx`: `uint8` pixels in, logits and probabilities out, class names in the metadata.

Models with layers that `layer_nodes` does not know are traced by Keras's own exporter.
"""

import importlib.metadata
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from eyespot.backend import keras
from eyespot.data.picture import Resize
from eyespot.engine.hardware import unrounded_float32
from eyespot.errors import ModelError, first_line
from eyespot.files import replacing
from eyespot.inference.metadata import LOGITS, METADATA_KEY, ModelMetadata
from eyespot.inference.predictor import Predictor
from eyespot.models.graph import trace
from eyespot.onnx_writer.graph_writer import OPSET, GraphWriter, UnsupportedLayer, outputs
from eyespot.onnx_writer.layer_nodes import write_layer
from eyespot.preprocessing.appearance import Appearance
from eyespot.shapes import UInt8

IR_VERSION = 10  # what ONNX Runtime 1.23 and later read
AGREEMENT = 1e-4


def write_onnx(  # noqa: PLR0913 - the last two go into the file as they are
    model: keras.Model,
    path: Path,
    class_names: tuple[str, ...],
    sample: UInt8[np.ndarray, "n height width channels"],
    *,
    resize: Resize = "squash",
    appearance: Appearance | None = None,
) -> None:
    """Writes a Keras classifier as ONNX and proves that both give the same probabilities.

    Outputs `logits` and `probabilities` = softmax(logits / temperature); the temperature is an initialiser of that
    name, 1 until calibrated. Where a dense layer comes last, what it takes is the output `features`. Layers this
    package knows become one or two nodes each; a model with any other is traced by Keras's own exporter.

    Args:
        sample: images to compare on.
        resize, appearance: as of `ModelMetadata`.

    Raises:
        ModelError: neither way can express the model, or the outputs differ by more than 1e-4.
    """
    try:
        graph = _own_graph(model)
    except UnsupportedLayer as unsupported:
        graph = traced_graph(model, unsupported)
    onnx_model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="eyespot",
        producer_version=importlib.metadata.version("eyespot"),
    )
    height, width, channels = sample.shape[1:]
    metadata = ModelMetadata(class_names, (height, width, channels), resize, appearance)
    helper.set_model_props(onnx_model, {METADATA_KEY: metadata.dump()})
    onnx.checker.check_model(onnx_model)
    with replacing(path) as temporary:
        onnx.save(onnx_model, temporary)
        _prove(model, temporary, sample)


def _own_graph(model: keras.Model) -> onnx.GraphProto:
    graph, writer = trace(model), GraphWriter()
    pixels = writer.pixels(graph.input)
    for call in graph.calls:
        write_layer(writer, call)
    writer.probabilities(writer.logits(graph.output))
    features = writer.features()
    _, *size = graph.input.shape
    return helper.make_graph(
        writer.nodes,
        "eyespot",
        [helper.make_tensor_value_info(pixels, TensorProto.UINT8, ["n", *size])],
        [*outputs(model), *features],
        writer.initializers,
    )


def traced_graph(model: keras.Model, unsupported: UnsupportedLayer) -> onnx.GraphProto:
    """Keras's export, with the inputs and outputs of ours: log(probabilities) are logits of these probabilities.

    Raises:
        ModelError: Keras cannot write it either.
    """
    graph = _export(model, unsupported)
    pixels = graph.input[0]
    traced_name = pixels.name if pixels.name != "pixels" else "traced_pixels"
    for node in graph.node:
        node.input[:] = [traced_name if name == pixels.name else name for name in node.input]
    graph.node.insert(0, helper.make_node("Cast", ["pixels"], [traced_name], to=pixels.type.tensor_type.elem_type))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *model.inputs[0].shape[1:]]))
    writer = GraphWriter()
    floor = writer.constant("smallest_probability", np.float32(np.finfo(np.float32).tiny))
    (clipped,) = writer.node("Max", [graph.output[0].name, floor])
    writer.node("Log", [clipped], outputs=[LOGITS])
    writer.probabilities(LOGITS)
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.initializers)
    del graph.output[:]
    graph.output.extend(outputs(model))
    return graph


def _export(model: keras.Model, unsupported: UnsupportedLayer) -> onnx.GraphProto:
    example = np.zeros((1, *model.inputs[0].shape[1:]), model.inputs[0].dtype)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad(), _silent():
        warnings.simplefilter("ignore")  # the tracer warns of every number it freezes; the proof on two batches decides
        model(example, training=False)
        try:
            model.export(Path(folder) / "traced.onnx", format="onnx", verbose=False, opset_version=OPSET)
        except Exception as error:
            raise ModelError(
                f"The model cannot be written as ONNX, and so not used for prediction: eyespot's own export does not "
                f"know its {unsupported}, and Keras's fails ({first_line(error)})."
            ) from error
        return onnx.load(Path(folder) / "traced.onnx").graph


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing reaches standard output: where tracing fails, PyTorch prints its whole graph there, from C++."""
    sys.stdout.flush()
    stdout, devnull = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(devnull)


def _prove(model: keras.Model, path: Path, sample: UInt8[np.ndarray, "n height width channels"]) -> None:
    """On all images at once and on one alone: a traced graph may have frozen the number of images."""
    predictor = Predictor(path)
    for images in (sample, sample[:1]):
        with torch.no_grad(), unrounded_float32():
            expected = keras.ops.convert_to_numpy(model(images, training=False))
        try:
            difference = float(np.abs(expected - predictor.probabilities(images)).max())
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises many types for one cause: the graph is no good
            raise ModelError(f"The ONNX model does not run on {len(images)} images: {error}") from None
        if not difference <= AGREEMENT:
            raise ModelError(
                f"The ONNX model differs from the Keras model by {difference:.1e} in a probability; at most "
                f"{AGREEMENT:.0e} is allowed."
            )
