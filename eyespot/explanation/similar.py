"""Similar: the training pictures that the model finds nearest to a picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eyespot.data.rows import Rows
from eyespot.shapes import Float32, Int64, UInt8

AT_ONCE = 256
Features = Callable[[UInt8[np.ndarray, "n height width channels"]], Float32[np.ndarray, "n d"]]


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each picture, the rows of those nearest to it, the nearest first, and how near they are.

    Attributes:
        rows: `[n, k]`.
        similarities: the cosine of the angle between the features, `[n, k]`, at most 1.
    """

    rows: Int64[np.ndarray, "n k"]
    similarities: Float32[np.ndarray, "n k"]


def nearest(
    features: Features,
    images: UInt8[np.ndarray, "n height width channels"],
    among: UInt8[np.ndarray, "m height width channels"] | Rows,
    count: int,
    on_progress: Callable[[int], None] | None = None,
) -> Nearest:
    """The pictures among others whose features point most nearly the same way; of equally near ones, the first.

    Args:
        features: what the model decides by, as `Predictor.features` gives it.
        among: read a few at a time, so that memory stays flat.
        count: how many, at most.
        on_progress: told how many of the others have been looked at.
    """
    wanted = _unit(features(images))
    rows = np.zeros((len(images), 0), np.int64)
    similarities = np.zeros((len(images), 0), np.float32)
    for start in range(0, len(among), AT_ONCE):
        part = np.asarray(among[start : start + AT_ONCE])
        here = np.broadcast_to(np.arange(start, start + len(part)), (len(images), len(part)))
        rows = np.concatenate([rows, here], axis=1)
        similarities = np.concatenate([similarities, wanted @ _unit(features(part)).T], axis=1)
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
        rows, similarities = np.take_along_axis(rows, best, axis=1), np.take_along_axis(similarities, best, axis=1)
        if on_progress:
            on_progress(start + len(part))
    return Nearest(rows, np.clip(similarities, -1, 1))


def _unit(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Rows of length 1; one of zeros stays so, and is like nothing."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1).astype(np.float32)
