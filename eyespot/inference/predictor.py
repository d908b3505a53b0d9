"""Predictor: a `model.onnx`, its class names and its preprocessing, ready to read images."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from eyespot.data.dataset import RowView
from eyespot.data.pixels import SHARP, webp_uri
from eyespot.errors import ModelError, PictureError, first_line
from eyespot.files import stamp_of
from eyespot.inference import runtime
from eyespot.inference.metadata import (
    CARD_KEY,
    FEATURES,
    LOGITS,
    METADATA_KEY,
    PROBABILITIES,
    REJECTION_KEY,
    ModelMetadata,
)
from eyespot.inference.ood import DEFAULT_RATE, NONE_OF_THESE, Rejection
from eyespot.inference.pictures import PictureReader, PictureSource, PreprocessingSteps, ReadPicture, open_source
from eyespot.inference.runtime import OutOfRoom, OutputArrays, are_probabilities, open_session, run_session
from eyespot.shapes import Float32, Float64, UInt8

BATCH = 64  # images; what a layer makes of them stays in a processor's own memory, which of 256 it did not
BULK = 4 * BATCH  # images from which on several batches are answered at once, each by its own threads
AT_ONCE = 4  # batches; more would only take more memory
SHOWN = 20  # images that a notebook shows
FEW = 2  # classes besides the most probable one that it names
TRIAL_SECONDS = 30.0  # that one image may take when a file is opened


@dataclass(frozen=True)
class Prediction:
    """Prediction of a model for one image.

    Attributes:
        file: as it was given.
        label: the most probable class; "none of these" where the image is rejected.
        probability: of the most probable class.
        top: the most probable classes, best first, as (label, probability).
        strangeness: how unlike anything the model has seen it is; None unless that was asked for.
        threshold: the strangeness above which it is rejected; None unless that was asked for.
        box: where on the image the object is, (left, top, right, bottom) in its pixels; None: the whole image.
        note: what a user should know of how the image was read; None if all is as usual.
    """

    file: str
    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    strangeness: float | None = None
    threshold: float | None = None
    box: tuple[int, int, int, int] | None = None
    note: str | None = None

    @property
    def rejected(self) -> bool:
        """Whether it was asked for, and found to be none of the classes."""
        return self.strangeness is not None and self.threshold is not None and self.strangeness > self.threshold

    def _repr_html_(self) -> str:
        """Return the prediction as a notebook shows it: the most probable classes."""
        from eyespot.notebook import card, notes, percent, table

        rows = [(label, percent(probability)) for label, probability in self.top]
        return card(self.label, self.file, [table(("class", "probability"), rows), notes(filter(None, [self.note]))])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        values = {"file": self.file, "label": self.label, "probability": self.probability, "top": top}
        if self.strangeness is not None:
            values |= {"rejected": self.rejected, "strangeness": self.strangeness, "threshold": self.threshold}
        extra = {"box": list(self.box) if self.box else None, "note": self.note}
        return values | {name: value for name, value in extra.items() if value is not None}


class PredictionList(list[Prediction]):
    """Predictions of images, in order: a list that a notebook shows with the first images.

    Args:
        pictures: names with the images, of which the first ones are kept.
    """

    def __init__(
        self, predictions: Iterable[Prediction] = (), pictures: Iterable[tuple[str, PictureSource]] = ()
    ) -> None:
        super().__init__(predictions)
        self._pictures = list(islice(pictures, SHOWN))

    def _repr_html_(self) -> str:
        """Return the predictions as a notebook shows them: a row an image."""
        from eyespot.notebook import MOST_ROWS, card, listed, notes, percent, table, thumbnail

        thumbnails = {name: thumbnail(uri, name) for name, uri in self._thumbnails()}
        rows = [
            (
                thumbnails.get(one.file, ""),
                one.file,
                one.label,
                "" if one.rejected else percent(one.probability),
                listed((label, percent(share)) for label, share in one.top[0 if one.rejected else 1 :][:FEW]),
            )
            for one in self[: MOST_ROWS + 1]
        ]
        columns = ("", "image", "prediction", "probability", "next")
        remarks = dict.fromkeys(f"{one.file}: {one.note}" for one in self[:MOST_ROWS] if one.note)
        parts = [table(columns, rows, text_columns=len(columns), of=len(self)), notes(remarks)]
        return card("1 prediction" if len(self) == 1 else f"{len(self):,} predictions", "", parts)

    def _thumbnails(self) -> Iterator[tuple[str, str]]:
        """The images that can still be opened, as (name, `data:` address)."""
        for name, source in self._pictures:
            with suppress(PictureError):
                picture = open_source(source, name, grey=False)
                is_small = max(picture.size) <= SHARP
                picture.thumbnail((SHARP, SHARP))
                yield name, webp_uri(picture, lossless=is_small)


class Predictor:
    """An ONNX model written by eyespot.

    Args:
        threads: how many compute one answer; None: as many as there are cores, as ONNX Runtime sees fit.

    Attributes:
        metadata: what the file says of itself, also as attributes of the predictor:
        class_names: one an output.
        input_shape: (height, width, channels) of its images.
        resize: how training brought images to that size; `squash` where the file does not say.
        appearance: what its training images look like; None where the file does not say.

    Raises:
        ModelError: the file is missing, damaged, or was not written by eyespot; or it has no answer to a black image.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        if not path.is_file():
            raise ModelError(f"There is no model file {path}.")
        self._threads, self._stamp = threads, stamp_of(path)
        try:
            self._session = open_session(path, threads)
            text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
            inputs = [(node.name, node.type, node.shape) for node in self._session.get_inputs()]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises many types for one cause: the file is no good
            raise ModelError(f"{path} is not an ONNX model that can be opened: {first_line(error)}.") from None
        if text is None:
            raise ModelError(f"{path} was not written by eyespot: it carries no class names.")
        try:
            self.metadata = ModelMetadata.parse(text)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{path} has damaged metadata ({error}).") from None
        self.class_names, self.input_shape = self.metadata.class_names, self.metadata.input_shape
        self.resize, self.appearance = self.metadata.resize, self.metadata.appearance
        self._path, self._input = path, inputs[0][0] if inputs else ""
        if [(kind, tuple(shape[1:])) for _, kind, shape in inputs] != [("tensor(uint8)", self.input_shape)]:
            raise ModelError(f"{path} is damaged: its graph takes other images than it says.")
        self._batch = BATCH  # smaller once that many images have turned out to take too much memory
        self._check_outputs()

    def _check_outputs(self) -> None:
        """Check the outputs by what the graph declares, and by the answer to one image within its time limit."""
        widths = {output.name: output.shape[-1] if output.shape else 0 for output in self._session.get_outputs()}
        if PROBABILITIES not in widths:
            raise ModelError(f"{self._path} is damaged: it has no output `probabilities`.")
        width, names = widths[PROBABILITIES], len(self.class_names)
        if isinstance(width, int) and width != names:
            raise ModelError(f"{self._path} is damaged: it names {names} classes, and gives {width} probabilities.")
        self._run(self._session, np.zeros((1, *self.input_shape), np.uint8), (PROBABILITIES,), TRIAL_SECONDS)

    def try_out(self, seconds: float = TRIAL_SECONDS) -> None:
        """Answers images of the model's own kind, with all that it can be asked for: black, grey, white, and noise.

        Args:
            seconds: that each answer may take.

        Raises:
            ModelError: it has no answer to one of them, or none in time.
        """
        images = runtime.kinds_of_pictures(self.input_shape)
        for part in (images[:1], images):
            self._run(self._session, part, (LOGITS, PROBABILITIES), seconds)
        if REJECTION_KEY in self._session.get_modelmeta().custom_metadata_map:
            self.strangeness(images)

    def probabilities(
        self, images: UInt8[np.ndarray, "n height width channels"] | RowView
    ) -> Float32[np.ndarray, "n classes"]:
        """Each image's class probabilities, calibrated; rows add up to 1.

        Raises:
            ModelError: the images have another size than the model takes, or it gives no probabilities for them.
        """
        return self._answers(images, PROBABILITIES)[0]

    def logits_and_probabilities(
        self, images: UInt8[np.ndarray, "n height width channels"] | RowView
    ) -> tuple[Float32[np.ndarray, "n classes"], Float32[np.ndarray, "n classes"]]:
        """Logits and probabilities, which are softmax(logits / temperature); raises as `probabilities` does."""
        logits, probabilities = self._answers(images, LOGITS, PROBABILITIES)
        return logits, probabilities

    def predict(  # noqa: PLR0913 - each is one option of the command
        self,
        pictures: Sequence[Path | tuple[str, PictureSource]],
        top: int = 5,
        on_error: Callable[[PictureError], None] | None = None,
        reject: bool | float = False,
        *,
        as_is: bool = False,
        each: bool = False,
        on_steps: Callable[[str, PreprocessingSteps], None] | None = None,
    ) -> list[Prediction]:
        """Reads images and says what they show, a batch at a time.

        Where the training images show one object each on a plain background, an image is first brought to their
        looks (`eyespot.preprocessing`); one that has them is left as it is.

        Args:
            pictures: files, or names with a file, its content, a Pillow image or an array.
            top: how many classes to name.
            on_error: receives the error of each unreadable image, which is left out; None: the first one raises.
            reject: answer "none of these" for an image that is unlike anything the model has seen: True, or the share
                of the validation images that would be rejected (True is 0.01). False: always name a class.
            as_is: only resize images, as training did.
            each: every object on an image gets a prediction, in reading order, not only the most prominent one.
            on_steps: receives each image's name and what it looked like after each step.

        Raises:
            PictureError: one of them cannot be read, and there is no `on_error`.
            ModelError: it is to reject, and the model carries nothing to go by.
            UsageError: `reject` does not lie between 0 and 1.
        """
        threshold = None if reject is False else self.rejection.threshold(DEFAULT_RATE if reject is True else reject)
        reader = PictureReader(self.input_shape, self.resize, None if as_is else self.appearance, each=each)
        predictions: list[Prediction] = []
        for start in range(0, len(pictures), BATCH):
            batch = list(reader.read(pictures[start : start + BATCH], on_error, on_steps))
            if batch:
                images = np.stack([picture.image for picture in batch])
                rows = self.probabilities(images)
                answers = [self._prediction(picture, row, top) for picture, row in zip(batch, rows, strict=True)]
                predictions += answers if threshold is None else self._rejecting(answers, images, threshold)
        return predictions

    @property
    def card(self) -> str | None:
        """The model card, as Markdown; None where the file has none."""
        text: str | None = self._session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        return text

    @cached_property
    def rejection(self) -> Rejection:
        """Detector of images that are none of the classes.

        Raises:
            ModelError: the model carries none, or a damaged one.
        """
        text = self._session.get_modelmeta().custom_metadata_map.get(REJECTION_KEY)
        if text is None:
            raise ModelError(
                f"{self._path} cannot tell images that are none of its classes: it was written without what that "
                "takes, as before eyespot could do so; train it again."
            )
        try:
            return Rejection.read(text, self.input_shape)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ModelError(f"{self._path} has damaged metadata ({error}).") from None

    def strangeness(self, images: UInt8[np.ndarray, "n height width channels"] | RowView) -> Float64[np.ndarray, " n"]:
        """Strangeness of each image; `rejection.threshold()` is the limit.

        Raises:
            ModelError: as of `probabilities`, or the model carries nothing to go by.
        """
        parts = (np.asarray(images[start : start + BATCH]) for start in range(0, len(images), BATCH))
        return np.concatenate([self._strangeness(part) for part in parts])

    def features(self, images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n d"]:
        """Features that the last layer decides by; of a model without that output, its logits.

        Raises:
            ModelError: the model cannot be run on these images.
        """
        outputs = {output.name for output in self._session.get_outputs()}
        (rows,) = self._rows(self._session, images, (FEATURES if FEATURES in outputs else LOGITS,))
        if rows.ndim != 2 or len(rows) != len(images) or rows.dtype != np.float32 or not np.isfinite(rows).all():  # noqa: PLR2004
            raise ModelError(f"{self._path} gives no features: it is damaged or has diverged.")
        return rows

    def _strangeness(self, images: UInt8[np.ndarray, "n height width channels"]) -> Float64[np.ndarray, " n"]:
        features = self.features(images)
        if features.shape[1] != self.rejection.features.means.shape[1]:
            raise ModelError(f"{self._path} has damaged metadata (features of another length than it gives).")
        return self.rejection.strangeness(images, features)

    def _rejecting(
        self, predictions: list[Prediction], images: UInt8[np.ndarray, "n height width channels"], threshold: float
    ) -> Iterator[Prediction]:
        for prediction, strangeness in zip(predictions, self._strangeness(images), strict=True):
            answer = replace(prediction, strangeness=float(strangeness), threshold=threshold)
            yield replace(answer, label=NONE_OF_THESE) if answer.rejected else answer

    def _answers(
        self, images: UInt8[np.ndarray, "n height width channels"] | RowView, *outputs: str
    ) -> tuple[Float32[np.ndarray, "n classes"], ...]:
        """Outputs of the graph under these names, a batch at a time."""
        if images.shape[1:] != self.input_shape:
            raise ModelError(f"The model takes images of {self.input_shape}; these are {images.shape[1:]}.")
        starts = range(0, len(images), BATCH)
        session = self._several if len(images) >= BULK else None
        if session is None:
            parts = [self._run(self._session, images[start : start + BATCH], outputs) for start in starts]
        else:
            with ThreadPoolExecutor(min(AT_ONCE, cores())) as pool:
                parts = list(pool.map(lambda start: self._run(session, images[start : start + BATCH], outputs), starts))
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    @cached_property
    def _several(self) -> onnxruntime.InferenceSession | None:
        """The model once more, with few threads an answer: several at once wait less for one another than one layer's.

        None where threads are given, where there is one core, or where the file is no longer what was opened.
        """
        if self._threads is not None or cores() == 1:
            return None
        try:
            session = open_session(self._path, max(1, cores() // AT_ONCE))
            return session if self._stamp == stamp_of(self._path) else None
        except Exception:  # noqa: BLE001 - whatever is wrong with the file now, one model is open
            return None

    def _run(
        self,
        session: onnxruntime.InferenceSession,
        images: UInt8[np.ndarray, "n height width channels"],
        outputs: tuple[str, ...],
        seconds: float | None = None,
    ) -> OutputArrays:
        """Outputs of the graph under these names: logits or probabilities."""
        answers = self._rows(session, images, outputs, seconds)
        shape = (len(images), len(self.class_names))
        if any(rows.shape != shape or rows.dtype != np.float32 or not np.isfinite(rows).all() for rows in answers) or (
            outputs[-1] == PROBABILITIES and not are_probabilities(answers[-1])
        ):
            raise ModelError(
                f"{self._path} gives no probabilities of its {shape[1]} classes: it is damaged or has diverged."
            )
        return answers

    def _rows(
        self,
        session: onnxruntime.InferenceSession,
        images: UInt8[np.ndarray, "n height width channels"],
        outputs: tuple[str, ...],
        seconds: float | None = None,
    ) -> OutputArrays:
        """Outputs of the graph, unchecked; fewer images at a time where a batch takes too much memory."""
        batch = self._batch  # once: another thread may make it smaller meanwhile
        if len(images) > batch:
            starts = range(0, len(images), batch)
            parts = [self._rows(session, images[start : start + batch], outputs, seconds) for start in starts]
            return [np.concatenate(part) for part in zip(*parts, strict=True)]
        inputs = {self._input: images}
        try:
            try:
                return run_session(session, outputs, inputs, seconds)
            except OutOfRoom:
                if len(images) == 1:
                    return run_session(session, outputs, inputs, seconds, alone=True)
        except Exception as error:  # noqa: BLE001 - as above: the graph is no good
            raise ModelError(f"{self._path} cannot be run: {first_line(error)}.") from None
        self._batch = min(self._batch, len(images) // 2)
        return self._rows(session, images, outputs, seconds)

    def _prediction(self, picture: ReadPicture, row: Float32[np.ndarray, " classes"], top: int) -> Prediction:
        best = top_classes(row, self.class_names, max(1, top))
        return Prediction(picture.name, best[0][0], best[0][1], best, box=picture.box, note=picture.note)


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def top_classes(
    probabilities: Float32[np.ndarray, " classes"], class_names: Sequence[str], count: int
) -> tuple[tuple[str, float], ...]:
    """The most probable classes of one image, best first, each with its probability; of equal ones the first."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((class_names[index], float(probabilities[index])) for index in order)
