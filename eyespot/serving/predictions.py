"""A request's pictures, read at a model's size, and what the model says of them, as plain values."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.data.picture_files import DamagedFile, PictureContents, UnsupportedFile, look_through
from eyespot.data.pixels import encode_png
from eyespot.errors import ModelError, PictureError
from eyespot.explanation.occlusion import occlusion, plain_background
from eyespot.inference.ood import NONE_OF_THESE
from eyespot.inference.pictures import ReadPicture
from eyespot.inference.predictor import Predictor, top_classes
from eyespot.serving import decoder
from eyespot.serving.decoder import Job
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, over_limit
from eyespot.serving.requests import Upload
from eyespot.serving.workers import Deadline
from eyespot.shapes import Float32, Shaped, UInt8

# What is read in the server's own threads, in some milliseconds; any other picture is for a process that can be killed.
LITTLE_BYTES = 2_000_000  # of a file
LITTLE_MEMORY = 16_000_000  # bytes: a million pixels, twice as they lie in memory
LITTLE_WORK = 4_000_000  # pixels that a decoder goes over
LONGEST_SIDE = 1024  # pixels of a saved correction: more than any of these models takes
DECIMALS = 6  # of an occlusion map's values, logits
CLASSES_SHOWN = 10  # in a refusal


def read_correction(
    predictor: Predictor, upload: Upload, limits: ServerLimits, deadline: Deadline, *, as_is: bool
) -> UInt8[np.ndarray, "height width channels"]:
    """Read what training should see of a picture.

    Where photographs are brought to the looks of the training images, that is the object in these looks, unless
    `as_is`; else the picture itself, upright, at most 1,024 pixels a side, without what a camera wrote into its file.

    Raises:
        Refusal: the picture cannot be read or has too many pixels, or the time is over.
    """
    appearance = predictor.appearance
    if appearance is not None and appearance.plain and not as_is:
        (picture,) = read_pictures(predictor, [upload], limits, deadline)
        return picture.image
    name, content = upload
    title = f"Picture {name}" if name == "0" else Path(name).name
    job = Job(title, predictor.input_shape, predictor.resize, longest=LONGEST_SIDE)
    return _read(job, content, limits, deadline)[0].image


def read_pictures(  # noqa: PLR0913, PLR0917 - which pictures, for which model, and how
    predictor: Predictor,
    uploads: Sequence[Upload],
    limits: ServerLimits,
    deadline: Deadline,
    as_is: bool = False,
    each: bool = False,
) -> list[ReadPicture]:
    """Read each picture, or each object on it, at the model's size.

    Raises:
        Refusal: a picture cannot be read or has too many pixels, or the time is over.
    """
    appearance = None if as_is else predictor.appearance
    job = Job("", predictor.input_shape, predictor.resize, appearance, each)
    return [
        replace(picture, name=name)
        for index, (name, content) in enumerate(uploads)
        for picture in _read(replace(job, name=_shown(name, index)), content, limits, deadline, index)
    ]


def _read(job: Job, content: bytes, limits: ServerLimits, deadline: Deadline, index: int = 0) -> list[ReadPicture]:
    """Read a picture, here where that takes little, and else in a process that is killed at the deadline."""
    deadline.check()
    contents = _contents(content, job.name, index, limits)
    try:
        if deadline.decoders is None or contents is None or _takes_little(contents):
            return decoder.read(job, content)
        return deadline.decoders.read(job, content, deadline.at)
    except PictureError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "picture", str(error), members={"picture": index}) from None
    except TimeoutError:
        raise deadline.refusal() from None


def _contents(content: bytes, name: str, index: int, limits: ServerLimits) -> PictureContents | None:
    """Return what a picture's file says of itself; None where it is no picture, which its reader says.

    Raises:
        Refusal: it says it has too many pixels.
    """
    try:
        contents = look_through(content)
    except (DamagedFile, UnsupportedFile):
        return None
    if contents is not None and contents.width * contents.height > limits.pixels:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        refusal = over_limit(status, "pixels", limits.pixels, f"{name} has too many pixels")
        refusal.members["picture"] = index
        raise refusal
    return contents


def _takes_little(contents: PictureContents) -> bool:
    pixels = contents.width * contents.height
    return (
        len(contents.content) <= LITTLE_BYTES
        and pixels * max(contents.working, 2 * 4) <= LITTLE_MEMORY
        and pixels * contents.passes <= LITTLE_WORK
        and not contents.slow
    )


def _shown(name: str, index: int) -> str:
    """Return what a picture is called in an answer."""
    return f"Picture {name}" if name == str(index) else name


def predict_pictures(
    predictor: Predictor, pictures: Sequence[ReadPicture], top: int, rate: float | None, *, seen: bool
) -> list[dict[str, Any]]:
    """Return for each picture, or each object on it, what `Predictor.predict` says.

    Args:
        top: number of classes to name.
        rate: share of usual pictures that would be rejected; None: none is rejected.
        seen: add the picture as the model sees it.

    Raises:
        Refusal: pictures are to be rejected, and the model cannot tell which.
    """
    images = np.stack([picture.image for picture in pictures])
    predictions = [_prediction(predictor, row, top) for row in predictor.probabilities(images)]
    if rate is not None:
        threshold = rejection_threshold(predictor, rate)
        for prediction, strangeness in zip(predictions, predictor.strangeness(images).tolist(), strict=True):
            prediction |= {"rejected": strangeness > threshold, "strangeness": strangeness, "threshold": threshold}
            prediction["label"] = NONE_OF_THESE if prediction["rejected"] else prediction["label"]
    return [
        {"picture": picture.name, **prediction, **_extra(picture, seen=seen)}
        for picture, prediction in zip(pictures, predictions, strict=True)
    ]


def _prediction(predictor: Predictor, row: Float32[np.ndarray, " classes"], top: int) -> dict[str, Any]:
    classes = top_classes(row, predictor.class_names, top)
    best = [{"label": label, "probability": probability} for label, probability in classes]
    return {**best[0], "top": best}


def rejection_threshold(predictor: Predictor, rate: float) -> float:
    """Return the strangeness above which a picture is none of the classes.

    Raises:
        Refusal: the model cannot tell.
    """
    try:
        return predictor.rejection.threshold(rate)
    except ModelError as error:
        raise Refusal(HTTPStatus.CONFLICT, "cannot_reject", str(error)) from None


def _extra(picture: ReadPicture, *, seen: bool) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if picture.box is not None:
        extra["box"] = list(picture.box)
    if picture.note is not None:
        extra["note"] = picture.note
    if seen:
        extra["seen"] = png_text(picture.image)
    return extra


def png_text(image: UInt8[np.ndarray, "height width channels"]) -> str:
    """Return pixels as a PNG, in base64."""
    return base64.b64encode(encode_png(image)).decode("ascii")


def occlusion_map(predictor: Predictor, picture: ReadPicture, label: str | None) -> dict[str, Any]:
    """Return how much the logit of a class falls where a part of the picture is covered.

    Args:
        label: the class; None: the predicted one.

    Raises:
        Refusal: the model has no such class.
    """
    images = picture.image[None]
    (row,), _ = predictor.logits_and_probabilities(images)
    index = int(np.argmax(row)) if label is None else class_index(predictor, label)
    appearance = predictor.appearance
    background = plain_background(images, 255 * appearance.background if appearance and appearance.plain else None)

    def logits(pictures: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        return predictor.logits_and_probabilities(np.rint(pictures).astype(np.uint8))[0]

    (values,) = occlusion(logits, images, np.array([index], np.int64), background)
    return {
        "label": predictor.class_names[index],
        "logit": float(row[index]),
        "map": np.round(values.astype(np.float64), DECIMALS).tolist(),
        "seen": png_text(picture.image),
    }


def class_index(predictor: Predictor, label: str) -> int:
    """Return the number of a class.

    Raises:
        Refusal: the model has no such class.
    """
    names = predictor.class_names
    if label not in names:
        class_list = ", ".join(names[:CLASSES_SHOWN]) + (", …" if len(names) > CLASSES_SHOWN else "")
        detail = f"The model has no class {label[:100]!r}: label must be one of {class_list}."
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "label", detail)
    return names.index(label)
