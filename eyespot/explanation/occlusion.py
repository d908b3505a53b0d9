"""Occlusion: how much a class's logit falls when a part of the picture is covered by its background."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eyespot.data.pixels import border_median
from eyespot.shapes import Float32, Int64, Shaped, UInt8

PATCHES_A_SIDE = 7
SMALLEST_PATCH = 2
LogitsFunction = Callable[[Shaped[np.ndarray, "n height width channels"]], Float32[np.ndarray, "n classes"]]


def plain_background(
    images: UInt8[np.ndarray, "n height width channels"], level: float | None = None
) -> Float32[np.ndarray, "n channels"]:
    """A level 0-255 for each channel of each picture, which is put where something is taken out.

    Args:
        level: of a background that is known; None: the median along the picture's own edges.
    """
    if level is not None:
        return np.full((len(images), images.shape[3]), level, np.float32)
    return border_median(images)


@dataclass(frozen=True)
class OcclusionWindow:
    """A square cover: its side, and how far it moves at a time, in pixels."""

    side: int
    stride: int


def occlusion(
    logits: LogitsFunction,
    images: UInt8[np.ndarray, "n height width channels"],
    labels: Int64[np.ndarray, " n"],
    background: Float32[np.ndarray, "n channels"],
    window: OcclusionWindow | None = None,
) -> Float32[np.ndarray, "n height width"]:
    """For each pixel, the mean fall of the class's logit over the covers that hide it.

    Zeiler and Fergus 2014 (arXiv:1311.2901), section 4.2, with the logit in place of the probability. Covers reach over
    the edge, so that a pixel at the edge is hidden as often as one in the middle.

    Args:
        logits: of pictures, levels 0-255, as whole numbers or not.
        labels: the class to explain, of each picture.
        background: what a cover shows, levels 0-255.
        window: the cover; None: `window_for` the pictures.

    Returns:
        Above 0 where what is there speaks for the class, below 0 where it speaks against it.
    """
    cover = window or window_for(*images.shape[1:3])
    uncovered = logits(images)[np.arange(len(labels)), labels]
    rows = zip(images, labels, background, uncovered, strict=True)
    return np.stack([_of_one(logits, image, int(label), level, cover, logit) for image, label, level, logit in rows])


def window_for(height: int, width: int) -> OcclusionWindow:
    """A seventh of the picture's shorter side, moved by half of itself: 4 and 2 for 28x28."""
    side = max(SMALLEST_PATCH, round(min(height, width) / PATCHES_A_SIDE))
    return OcclusionWindow(side, max(1, side // 2))


def _of_one(  # noqa: PLR0913, PLR0917 - one row of each
    logits: LogitsFunction,
    image: UInt8[np.ndarray, "height width channels"],
    label: int,
    background: Float32[np.ndarray, " channels"],
    window: OcclusionWindow,
    uncovered: np.float32,
) -> Float32[np.ndarray, "height width"]:
    covers = _covers(image.shape[0], image.shape[1], window)
    falls, counts = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    changing_covers = [cover for cover in covers if (image[cover] != background).any()]  # the others change nothing
    for cover in covers:
        counts[cover] += 1
    if changing_covers:
        covered = np.repeat(image[None].astype(np.float32), len(changing_covers), axis=0)
        for row, cover in zip(covered, changing_covers, strict=True):
            row[cover] = background
        for cover, logit in zip(changing_covers, logits(covered)[:, label], strict=True):
            falls[cover] += uncovered - logit
    return (falls / counts).astype(np.float32)


def _covers(height: int, width: int, window: OcclusionWindow) -> list[tuple[slice, slice]]:
    def along(length: int) -> list[slice]:
        starts = range(window.stride - window.side, length, window.stride)
        return [slice(max(0, start), min(length, start + window.side)) for start in starts]

    return [(down, across) for down in along(height) for across in along(width)]
