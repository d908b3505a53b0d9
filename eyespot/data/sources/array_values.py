"""Any array of pictures, and any of labels, as a dataset has them."""

import math
from dataclasses import dataclass

import numpy as np

from eyespot.errors import DataError
from eyespot.shapes import Shaped

CHANNELS = (1, 3, 4)
FLAT_RANK, GREY_RANK, COLOR_RANK = 2, 3, 4


@dataclass(frozen=True)
class Labelled:
    """Pictures and the names of their classes.

    Attributes:
        images: `uint8 [n, height, width, channels]`, 1 or 3 channels; still a memory map where it was one.
        labels: a name a picture; None where there is none.
        class_names: in order, where that is known.
    """

    images: Shaped[np.ndarray, "..."]
    labels: list[str | None]
    class_names: tuple[str, ...] | None = None


def labelled(
    images: Shaped[np.ndarray, "..."],
    labels: Shaped[np.ndarray, "..."],
    where: str,
    class_names: tuple[str, ...] | None = None,
) -> Labelled:
    """Checks arrays and brings them to a dataset's form.

    Args:
        images: `[n, height, width]`, `[n, height, width, 1|3|4]`, `[n, 1|3, height, width]` or `[n, pixels]` of square
            pictures; whole numbers 0-255, or fractions 0-1.
        labels: whole numbers, text or one-hot rows.
        where: for the error.
        class_names: what whole numbers stand for.

    Raises:
        DataError: they are not that, or not of one length.
    """
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images):,} pictures, but {len(labels):,} labels: there must be one each.")
    return Labelled(_pixels(_four_axes(images, where), where), _names(labels, where, class_names), class_names)


def _four_axes(images: Shaped[np.ndarray, "..."], where: str) -> Shaped[np.ndarray, "..."]:
    """`[n, height, width, channels]`."""
    if images.ndim == FLAT_RANK:
        for channels in (1, 3):
            side = math.isqrt(images.shape[1] // channels)
            if side > 1 and side * side * channels == images.shape[1]:
                return images.reshape(len(images), side, side, channels)
    if images.ndim == GREY_RANK:
        return images[..., np.newaxis]
    if images.ndim == COLOR_RANK and images.shape[3] in CHANNELS:
        return images
    if images.ndim == COLOR_RANK and images.shape[1] in (1, 3):
        return np.moveaxis(images, 1, 3)
    raise DataError(
        f"{where}: expected pictures as [n, height, width] or [n, height, width, 1 or 3]; received "
        f"{list(images.shape)}."
    )


def _pixels(images: Shaped[np.ndarray, "..."], where: str) -> Shaped[np.ndarray, "..."]:
    """`uint8`, without transparency."""
    if images.dtype == bool:
        images = images.astype(np.uint8) * np.uint8(255)
    if images.dtype != np.uint8:
        if images.dtype.kind not in "iuf":
            raise DataError(f"{where}: expected numbers as pixels; received {images.dtype}.")
        low, high = float(images.min(initial=0)), float(images.max(initial=0))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise DataError(f"{where}: there are pixels that are NaN or infinite.")
        if low < 0 or high > 255:  # noqa: PLR2004 - of a byte
            raise DataError(f"{where}: pixels go from {low:g} to {high:g}; expected 0 to 255, or 0 to 1.")
        scale = 255.0 if images.dtype.kind == "f" and high <= 1 else 1.0
        images = np.round(images * scale).astype(np.uint8)
    if images.shape[3] == CHANNELS[-1]:
        alpha = images[..., 3:].astype(np.float32) / 255
        images = np.round(images[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return images


def _names(labels: Shaped[np.ndarray, "..."], where: str, class_names: tuple[str, ...] | None) -> list[str | None]:
    """A class's name for each row."""
    if labels.ndim == FLAT_RANK and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == FLAT_RANK and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all():
        labels = labels.argmax(axis=1)  # one-hot
    if labels.ndim != 1:
        raise DataError(f"{where}: expected a label for each picture; received labels of shape {list(labels.shape)}.")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "U":
        return [text.strip() or None for text in labels.tolist()]
    if labels.dtype.kind not in "iufb":
        raise DataError(f"{where}: expected whole numbers or text as labels; received {labels.dtype}.")
    missing = ~np.isfinite(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), bool)
    whole = np.where(missing, 0, labels)
    if (whole != np.round(whole)).any():
        raise DataError(f"{where}: labels must be whole numbers; received {whole[whole != np.round(whole)][0]:g}.")
    if class_names and len(whole) and not 0 <= whole.min() <= whole.max() < len(class_names):
        raise DataError(f"{where}: labels go from {whole.min():g} to {whole.max():g}, for {len(class_names)} names.")
    texts = [class_names[int(value)] if class_names else str(int(value)) for value in whole]
    return [None if gone else text for text, gone in zip(texts, missing.tolist(), strict=True)]
