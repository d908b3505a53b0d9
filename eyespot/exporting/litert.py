"""litert: a `.tflite` file for LiteRT (TensorFlow Lite before), as phones and small boards run it.

Converted from the calibrated Keras model by litert-torch, through PyTorch's own export of a program.
"""

import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.errors import ExportError, first_line
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.files import replacing
from eyespot.inference.metadata import TEMPERATURE
from eyespot.shapes import Float32, UInt8

FILE = "model.tflite"


class LiteRtFormat:
    """One image at a time: `uint8` [1, height, width, channels] in, probabilities [1, classes] out."""

    name = "litert"
    inside = ("rescaling", "calibration", "class_names", "card")

    def write(self, source: ExportSource, folder: Path) -> None:
        """One file; behind the model, as TensorFlow Lite's metadata do, goes a ZIP archive with names and card."""
        with replacing(folder / FILE) as path:
            try:
                with _silent():
                    _converted(source).export(str(path))
            except Exception as error:  # noqa: BLE001 - the converter raises many types for one cause: it cannot
                raise ExportError(
                    f"The model cannot be converted to LiteRT ({first_line(error)}): export it as onnx."
                ) from None
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(
                    "labels.txt",
                    "".join(f"{json.dumps(name, ensure_ascii=False)[1:-1]}\n" for name in source.class_names),
                )
                metadata = {**source.metadata, TEMPERATURE: source.temperature}
                archive.writestr("metadata.json", json.dumps(metadata, ensure_ascii=False))
                archive.writestr("model-card.md", source.card)

    def opened(self, folder: Path) -> PredictFunction:
        """By LiteRT's interpreter, on the processor."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(folder / FILE))
        interpreter.allocate_tensors()
        (input_details,), (output_details,) = interpreter.get_input_details(), interpreter.get_output_details()

        def one(image: UInt8[np.ndarray, "height width channels"]) -> Float32[np.ndarray, " classes"]:
            interpreter.set_tensor(input_details["index"], image[None])
            interpreter.invoke()
            row: Float32[np.ndarray, " classes"] = interpreter.get_tensor(output_details["index"])[0]
            return row

        def answer(images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
            return np.stack([one(image) for image in images])

        return answer


FORMAT = LiteRtFormat()


@contextmanager
def _silent() -> Iterator[None]:
    """Silences what the converter prints of each of its passes; where it fails, it raises."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _converted(source: ExportSource) -> Any:
    import litert_torch
    import torch

    from eyespot.exporting.keras import with_calibration
    from eyespot.models.loading import load_model

    model = with_calibration(load_model(source.keras), source.temperature)

    class Network(torch.nn.Module):  # type: ignore[misc]  # PyTorch's types are not read
        """The model without the arguments that Keras's call takes besides."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            return self.model(pixels, training=False)

    return litert_torch.convert(Network().eval(), (torch.zeros((1, *source.input_shape), dtype=torch.uint8),))
