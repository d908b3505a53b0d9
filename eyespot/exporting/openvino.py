"""openvino: OpenVINO's own representation, `model.xml` and `model.bin`, with names, calibration and card inside."""

import json
from pathlib import Path

import numpy as np

from eyespot.errors import ExportError
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.inference.metadata import CARD_KEY, METADATA_KEY, PROBABILITIES, TEMPERATURE
from eyespot.shapes import Float32, UInt8

FILE = "model.xml"


class OpenVinoFormat:
    """Converted from `model.onnx` by OpenVINO; weights stay float32."""

    name = "openvino"
    inside = ("rescaling", "calibration", "class_names", "card")

    def write(self, source: ExportSource, folder: Path) -> None:
        """Two files; what `model.onnx` tells in its metadata is in `rt_info`, as JSON."""
        import openvino

        try:
            # Not convert_model, which would report to OpenVINO's makers that it was used.
            model = openvino.Core().read_model(source.onnx)
        except Exception as error:  # noqa: BLE001 - OpenVINO raises types of its own for an operator it does not know
            raise ExportError(f"OpenVINO cannot convert the model: {str(error).strip().splitlines()[-1]}.") from None
        metadata = {**source.metadata, TEMPERATURE: source.temperature}
        model.set_rt_info(json.dumps(metadata), METADATA_KEY)  # ASCII: XML has no control characters
        model.set_rt_info(json.dumps(source.card), CARD_KEY)
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)

    def opened(self, folder: Path) -> PredictFunction:
        """By OpenVINO's runtime, on the processor, with its own settings."""
        import openvino

        compiled = openvino.Core().compile_model(folder / FILE, "CPU")

        def answer(
            images: UInt8[np.ndarray, "n height width channels"],
        ) -> Float32[np.ndarray, "n classes"]:
            probabilities: Float32[np.ndarray, "n classes"] = np.array(compiled(images)[PROBABILITIES])
            return probabilities

        return answer


FORMAT = OpenVinoFormat()
