"""Predictor: a `model.onnx`, its class names and its preprocessing, ready to read pictures."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from eyespot.data.picture import read_picture
from eyespot.errors import ModelError, PictureError
from eyespot.shapes import Float32, UInt8

METADATA_KEY = "eyespot"
BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    Attributes:
        file: as it was given.
        label: the most probable class.
        probability: of that class.
        top: the most probable classes, best first, as (label, probability).
    """

    file: str
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        return {"file": self.file, "label": self.label, "probability": self.probability, "top": top}


class Predictor:
    """An ONNX model written by eyespot.

    Attributes:
        class_names: one an output.
        input_shape: (height, width, channels) of its pictures.

    Raises:
        ModelError: the file is missing, damaged, or was not written by eyespot.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ModelError(f"There is no model file {path}.")
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises many types for one cause: the file is no good
            raise ModelError(f"{path} is not an ONNX model that can be opened: {str(error).splitlines()[0]}") from None
        written = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if written is None:
            raise ModelError(f"{path} was not written by eyespot: it carries no class names.")
        try:
            metadata = json.loads(written)
            size = metadata["input"]
            self.class_names: tuple[str, ...] = tuple(metadata["class_names"])
            self.input_shape: tuple[int, int, int] = (size["height"], size["width"], size["channels"])
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} has damaged metadata ({error}).") from None
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        """Each picture's class probabilities; rows add up to 1.

        Raises:
            ModelError: the pictures have another size than the model takes.
        """
        if images.shape[1:] != self.input_shape:
            raise ModelError(f"The model takes pictures of {self.input_shape}; these are {images.shape[1:]}.")
        parts = [
            self._session.run(["probabilities"], {self._input: images[start : start + BATCH]})[0]
            for start in range(0, len(images), BATCH)
        ]
        return np.concatenate(parts)

    def predict(
        self,
        pictures: Sequence[Path | tuple[str, bytes]],
        top: int = 5,
        on_error: Callable[[PictureError], None] | None = None,
    ) -> list[Prediction]:
        """Reads pictures and says what they show, a batch at a time.

        Args:
            pictures: files, or names with a file's content.
            top: how many classes to name.
            on_error: told of each picture that cannot be read, which is then left out; None: the first one raises.

        Raises:
            PictureError: one of them cannot be read, and there is no `on_error`.
        """
        predictions = []
        for start in range(0, len(pictures), BATCH):
            read = list(self._read(pictures[start : start + BATCH], on_error))
            if read:
                rows = self.probabilities(np.stack([image for _, image in read]))
                predictions += [self._prediction(name, row, top) for (name, _), row in zip(read, rows, strict=True)]
        return predictions

    def _read(
        self, batch: Iterable[Path | tuple[str, bytes]], on_error: Callable[[PictureError], None] | None
    ) -> Iterator[tuple[str, UInt8[np.ndarray, "height width channels"]]]:
        for picture in batch:
            name, source = (str(picture), picture) if isinstance(picture, Path) else picture
            try:
                yield name, read_picture(source, self.input_shape, name)
            except PictureError as error:
                if on_error is None:
                    raise
                on_error(error)

    def _prediction(self, name: str, row: Float32[np.ndarray, " classes"], top: int) -> Prediction:
        order = np.argsort(-row, kind="stable")[: max(1, top)]
        best = tuple((self.class_names[index], float(row[index])) for index in order)
        return Prediction(name, best[0][0], best[0][1], best)
