"""ONNX by Keras's own exporter, for models with layers this package does not know."""

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
from eyespot.errors import ModelError
from eyespot.exporting.onnx_graph import OPSET, GraphWriter, UnsupportedLayer, outputs


def traced_graph(model: keras.Model, unsupported: UnsupportedLayer) -> onnx.GraphProto:
    """Keras's export, with the inputs and outputs of ours: log(probabilities) are logits of these probabilities.

    Raises:
        ModelError: Keras cannot write it either.
    """
    graph = _export(model, unsupported)
    pixels = graph.input[0]
    traced = pixels.name if pixels.name != "pixels" else "traced_pixels"
    for node in graph.node:
        node.input[:] = [traced if name == pixels.name else name for name in node.input]
    graph.node.insert(0, helper.make_node("Cast", ["pixels"], [traced], to=pixels.type.tensor_type.elem_type))
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *model.inputs[0].shape[1:]]))
    writer = GraphWriter()
    floor = writer.constant("smallest_probability", np.float32(np.finfo(np.float32).tiny))
    (clipped,) = writer.node("Max", [graph.output[0].name, floor])
    writer.node("Log", [clipped], outputs=["logits"])
    writer.probabilities("logits")
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
                f"know its {unsupported}, and Keras's fails ({str(error).strip().splitlines()[0]})."
            ) from error
        return onnx.load(Path(folder) / "traced.onnx").graph


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing reaches standard output: where tracing fails, PyTorch prints its whole graph there, from C++."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
