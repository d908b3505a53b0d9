"""onnx-int8: the run's `model.onnx` with 8-bit weights and activations, statically quantised on validation pictures.

Quantised as onnxruntime.quantization does it, in ONNX's own operators (a QuantizeLinear and a DequantizeLinear around
each layer), which ONNX Runtime turns into integer layers when it opens the file; `int8_graph.py` says what is done
around that.
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

from eyespot.data.dataset import Split
from eyespot.errors import ExportError
from eyespot.exporting.format_onnx import FILE
from eyespot.exporting.formats import Answers, Source
from eyespot.exporting.int8_columns import columns_as_channels
from eyespot.exporting.int8_graph import logits_in_full, pixels_as_they_are, pool_before_activation
from eyespot.exporting.metadata import read_metadata
from eyespot.exporting.onnx_graph import OPSET
from eyespot.files import replacing
from eyespot.inference.predictor import CARD_KEY, Predictor
from eyespot.seeds import seed_for
from eyespot.shapes import UInt8

CALIBRATION = 512  # pictures, which show the range of each activation
BATCH = 64
QUANTISED = [
    "Conv", "Gemm", "MatMul", "Relu", "LeakyRelu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Add",
    "Concat", "Flatten", "Reshape", "Transpose", "Pad",
]  # fmt: skip


class OnnxInt8Format:
    """Weights in int8, one scale a channel; activations in uint8; logits and what follows in float32."""

    name = "onnx-int8"
    inside = ("rescaling", "calibration", "class_names", "rejection", "card")

    def write(self, source: Source, folder: Path) -> None:
        """One file, which `Predictor` and any ONNX runtime open."""
        try:
            model = quantised(source.onnx, calibration_pictures(source.validation))
        except Exception as error:  # noqa: BLE001 - the quantiser raises many types for one cause: it cannot
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ExportError(f"The model cannot be quantised ({reason}): export it as onnx.") from None
        if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise ExportError("The model has no layer that can be quantised: export it as onnx.")
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid("", OPSET))  # the quantiser lists more than it uses
        onnx.helper.set_model_props(model, {**read_metadata(source.onnx), CARD_KEY: source.card})
        with replacing(folder / FILE) as path:
            onnx.save(model, path)

    def opened(self, folder: Path) -> Answers:
        """By ONNX Runtime."""
        return Predictor(folder / FILE).probabilities


def calibration_pictures(split: Split) -> UInt8[np.ndarray, "n height width channels"]:
    """At most 512 of a split, the same ones each time."""
    generator = np.random.default_rng(seed_for(0, "int8"))
    rows = np.sort(generator.permutation(len(split))[:CALIBRATION])
    images: UInt8[np.ndarray, "n height width channels"] = np.asarray(split.take(rows).images)
    return images


def quantised(path: Path, images: UInt8[np.ndarray, "n height width channels"]) -> onnx.ModelProto:
    """A float model in 8 bits; raises whatever ONNX Runtime's quantiser does."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _quiet():
        simple, result = Path(folder) / "simple.onnx", Path(folder) / "int8.onnx"
        _simplify(path, simple)
        model = onnx.load(simple)
        pool_before_activation(model)
        columns_as_channels(model)
        quantize_static(
            model,
            result,
            _Reader(images),
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


def _simplify(path: Path, simple: Path) -> None:
    """Layers in one node each, as ONNX Runtime's own first pass makes them: Gemm, convolutions with what follows."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simple)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class _Reader:
    """Pictures a batch at a time, as the quantiser asks for them."""

    def __init__(self, images: UInt8[np.ndarray, "n height width channels"]) -> None:
        self._batches: Iterator[dict[str, Any]] = (
            {"pixels": images[start : start + BATCH]} for start in range(0, len(images), BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises on the root logger to do what has been done."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


FORMAT = OnnxInt8Format()
