"""onnx: the run's own `model.onnx`, for ONNX Runtime, with all there is to know inside the file."""

from pathlib import Path

from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.inference.metadata import CARD_KEY, add_metadata
from eyespot.inference.predictor import Predictor

FILE = "model.onnx"


class OnnxFormat:
    """A copy of `model.onnx`, with the model card in its metadata."""

    name = "onnx"
    inside = ("rescaling", "calibration", "class_names", "rejection", "card")

    def write(self, source: ExportSource, folder: Path) -> None:
        """One file, which `Predictor` and any ONNX runtime open."""
        add_metadata(source.onnx, CARD_KEY, source.card, folder / FILE)

    def opened(self, folder: Path) -> PredictFunction:
        """By ONNX Runtime."""
        return Predictor(folder / FILE).probabilities


FORMAT = OnnxFormat()
