"""keras: a `.keras` file whose probabilities are calibrated, which plain Keras opens on any of its backends."""

from pathlib import Path

import numpy as np

from eyespot.backend import keras
from eyespot.errors import ExportError
from eyespot.exporting.formats import ExportSource, PredictFunction
from eyespot.files import replacing
from eyespot.models.graph import trace
from eyespot.models.loading import load_model
from eyespot.shapes import Float32, UInt8

FILE = "model.keras"


class KerasFormat:
    """The run's Keras model, with the temperature inside."""

    name = "keras"
    inside = ("rescaling", "calibration")

    def write(self, source: ExportSource, folder: Path) -> None:
        """One file, without the optimizer."""
        model = with_calibration(load_model(source.keras), source.temperature)
        with replacing(folder / FILE) as path:
            model.save(path)

    def opened(self, folder: Path) -> PredictFunction:
        """By Keras, on the backend that eyespot uses."""
        model = load_model(folder / FILE)

        def answer(
            images: UInt8[np.ndarray, "n height width channels"],
        ) -> Float32[np.ndarray, "n classes"]:
            probabilities: Float32[np.ndarray, "n classes"] = model.predict(images, verbose=0)
            return probabilities

        return answer


FORMAT = KerasFormat()


def with_calibration(model: keras.Model, temperature: float) -> keras.Model:
    """The model with softmax(logits / temperature) at its end.

    A dense layer at the end takes the temperature into its kernel and bias, which is exact and costs nothing; before a
    softmax that stands alone goes a `Rescaling`.

    Raises:
        ExportError: it ends in another kind of layer.
    """
    if temperature == 1:
        return model
    last_layer = model.layers[-1]
    if type(last_layer) is keras.layers.Dense and _is_used_once(model, last_layer):
        for weight in last_layer.weights:
            weight.assign(weight / temperature)
        return model
    if type(last_layer) in (keras.layers.Softmax, keras.layers.Activation):
        scaled = keras.layers.Rescaling(1 / temperature, name="temperature")(last_layer.input)
        return keras.Model(
            model.inputs, last_layer.__class__.from_config(last_layer.get_config())(scaled), name=model.name
        )
    raise ExportError(
        f"The model ends in {last_layer.name} ({type(last_layer).__name__}), whose probabilities cannot be calibrated "
        "in a .keras file: export it as onnx."
    )


def _is_used_once(model: keras.Model, layer: keras.Layer) -> bool:
    return sum(call.layer is layer for call in trace(model).calls) == 1
