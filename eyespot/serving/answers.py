"""What a model says of a request's pictures, as plain values."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from eyespot.errors import ModelError
from eyespot.explanation.occlusion import occlusion, plain_background
from eyespot.inference.ood import NONE_OF_THESE
from eyespot.inference.pictures import ReadPicture
from eyespot.inference.predictor import Predictor
from eyespot.serving.problems import Refusal
from eyespot.serving.reading import as_png
from eyespot.shapes import Float32, Shaped

DECIMALS = 6  # of a map's values, logits


def predictions(
    predictor: Predictor, read: Sequence[ReadPicture], top: int, rate: float | None, *, seen: bool
) -> list[dict[str, Any]]:
    """Of each picture, or each object on it, what `Predictor.predict` says.

    Args:
        top: how many classes to name.
        rate: of usual pictures that would be rejected; None: none is.
        seen: add the picture as the model sees it.

    Raises:
        Refusal: it is to reject, and the model carries nothing to go by.
    """
    images = np.stack([one.image for one in read])
    named = [_named(predictor, row, top) for row in predictor.probabilities(images)]
    if rate is not None:
        threshold = threshold_of(predictor, rate)
        for told, strangeness in zip(named, predictor.strangeness(images).tolist(), strict=True):
            told |= {"rejected": strangeness > threshold, "strangeness": strangeness, "threshold": threshold}
            told["label"] = NONE_OF_THESE if told["rejected"] else told["label"]
    return [{"picture": one.name, **told, **_extra(one, seen=seen)} for one, told in zip(read, named, strict=True)]


def threshold_of(predictor: Predictor, rate: float) -> float:
    """The strangeness above which a picture is none of the classes.

    Raises:
        Refusal: the model cannot tell.
    """
    try:
        return predictor.rejection.threshold(rate)
    except ModelError as error:
        raise Refusal(HTTPStatus.CONFLICT, "cannot_reject", str(error)) from None


def occluded(predictor: Predictor, read: ReadPicture, label: str | None) -> dict[str, Any]:
    """How much the logit of a class falls where a part of the picture is covered.

    Args:
        label: the class; None: the one that the model says.

    Raises:
        Refusal: it has no such class.
    """
    images = read.image[None]
    (row,), _ = predictor.logits_and_probabilities(images)
    index = int(np.argmax(row)) if label is None else class_index(predictor, label)
    looks = predictor.appearance
    background = plain_background(images, 255 * looks.background if looks and looks.plain else None)

    def logits(pictures: Shaped[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n classes"]:
        return predictor.logits_and_probabilities(np.rint(pictures).astype(np.uint8))[0]

    (found,) = occlusion(logits, images, np.array([index], np.int64), background)
    return {
        "label": predictor.class_names[index],
        "logit": float(row[index]),
        "map": np.round(found.astype(np.float64), DECIMALS).tolist(),
        "seen": as_png(read.image),
    }


def class_index(predictor: Predictor, label: str) -> int:
    """The number of a class.

    Raises:
        Refusal: the model has no such class.
    """
    if label not in predictor.class_names:
        known = ", ".join(predictor.class_names[:10]) + (", …" if len(predictor.class_names) > 10 else "")  # noqa: PLR2004
        detail = f"The model has no class {label[:100]!r}: label must be one of {known}."
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "label", detail)
    return predictor.class_names.index(label)


def _named(predictor: Predictor, row: Float32[np.ndarray, " classes"], top: int) -> dict[str, Any]:
    order = np.argsort(-row, kind="stable")[:top].tolist()
    best = [{"label": predictor.class_names[index], "probability": float(row[index])} for index in order]
    return {**best[0], "top": best}


def _extra(one: ReadPicture, *, seen: bool) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if one.box is not None:
        extra["box"] = list(one.box)
    if one.note is not None:
        extra["note"] = one.note
    if seen:
        extra["seen"] = as_png(one.image)
    return extra
