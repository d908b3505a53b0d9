"""Predictor: a `model.onnx`, its class names and its preprocessing, ready to read pictures."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime

from eyespot.data.picture import read_picture
from eyespot.data.rows import Rows
from eyespot.errors import ModelError, PictureError
from eyespot.inference.onnx_file import read_onnx
from eyespot.shapes import Float32, UInt8

METADATA_KEY = "eyespot"
BATCH = 256
FATAL = 4  # ONNX Runtime's highest level of logging


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
            self._session = _session(path)
            written = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
            inputs = [(taken.name, taken.type, taken.shape) for taken in self._session.get_inputs()]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises many types for one cause: the file is no good
            raise ModelError(f"{path} is not an ONNX model that can be opened: {_reason(error)}.") from None
        if written is None:
            raise ModelError(f"{path} was not written by eyespot: it carries no class names.")
        try:
            metadata = json.loads(written)
            size = metadata["input"]
            self.class_names: tuple[str, ...] = tuple(str(name) for name in metadata["class_names"])
            self.input_shape: tuple[int, int, int] = (int(size["height"]), int(size["width"]), int(size["channels"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{path} has damaged metadata ({error}).") from None
        self._path, self._input = path, inputs[0][0] if inputs else ""
        if [(kind, tuple(shape[1:])) for _, kind, shape in inputs] != [("tensor(uint8)", self.input_shape)]:
            raise ModelError(f"{path} is damaged: its graph takes other pictures than it says.")

    def probabilities(
        self, images: UInt8[np.ndarray, "n height width channels"] | Rows
    ) -> Float32[np.ndarray, "n classes"]:
        """Each picture's class probabilities; rows add up to 1.

        Raises:
            ModelError: the pictures have another size than the model takes, or it gives no probabilities for them.
        """
        if images.shape[1:] != self.input_shape:
            raise ModelError(f"The model takes pictures of {self.input_shape}; these are {images.shape[1:]}.")
        return np.concatenate(
            [self._probabilities(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        )

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

    def _probabilities(self, images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        try:
            (rows,) = self._session.run(["probabilities"], {self._input: images})
        except Exception as error:  # noqa: BLE001 - as above: the graph is no good
            raise ModelError(f"{self._path} cannot be run: {_reason(error)}.") from None
        classes = len(self.class_names)
        if rows.shape != (len(images), classes) or rows.dtype != np.float32 or not np.isfinite(rows).all():
            raise ModelError(
                f"{self._path} gives no probabilities of its {classes} classes: it is damaged or has diverged."
            )
        return cast("np.ndarray", rows)

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


def _session(path: Path) -> onnxruntime.InferenceSession:
    """What has been looked through is what is opened: its bytes, and as nothing else than ONNX."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL  # what is wrong is said once, by us
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent.resolve()))
    # Without a fallback, which is to the same provider, and announced on standard output.
    return onnxruntime.InferenceSession(read_onnx(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)


def _reason(error: Exception) -> str:
    """The first line of what ONNX Runtime, or the look through the file, had to say."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
