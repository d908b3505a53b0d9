"""Pictures unlike the others in how they were taken: too dark, too bright, blank, blurred, of another size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import laplace

from eyespot.data.dataset import Dataset, Split, chunks
from eyespot.shapes import Float64, Shaped

FAR = 5.0  # robust standard deviations from the median: rarer than one in a million where values are normal
TO_STANDARD_DEVIATION = 1.4826  # of a normal distribution, from the median absolute deviation
LEAST_SPREAD = 0.02  # of the median's size: where all are alike, a small difference is none


@dataclass(frozen=True)
class Outlier:
    """An image that stands out.

    Attributes:
        place: its split and row.
        reason: in words.
        distance: from the median, in robust standard deviations.
    """

    place: tuple[str, int]
    reason: str
    distance: float

    def to_dict(self, dataset: Dataset) -> dict[str, Any]:
        """Plain values, with the image's file."""
        name, row = self.place
        files = dataset.splits[name].files
        return {
            "split": name, "row": row, "file": files[row] if files else None, "reason": self.reason,
            "distance": self.distance,
        }  # fmt: skip


def find_outliers(dataset: Dataset) -> list[Outlier]:
    """Pictures that lie far from the others in some measure, the farthest first, each by its farthest measure.

    Brightness is the mean pixel, contrast their standard deviation, sharpness the logarithm of the variance of the
    Laplacian (Pech-Pacheco et al., ICPR 2000) over that of the pixels, so that a faint image is not called blurred;
    sizes are those of the files. Distances are from the median, in units of
    the median absolute deviation made comparable to a standard deviation.
    """
    positions = [(name, row) for name, split in dataset.splits.items() for row in range(len(split))]
    outliers: dict[tuple[str, int], Outlier] = {}
    for low, high, values in _measures(dataset):
        for number, distance in enumerate(_distances(values)):
            if abs(distance) > FAR and abs(distance) > (
                outliers[positions[number]].distance if positions[number] in outliers else 0
            ):
                reason = low if distance < 0 else high
                outliers[positions[number]] = Outlier(positions[number], reason, float(abs(distance)))
    return sorted(outliers.values(), key=lambda oddity: -oddity.distance)


def _measures(dataset: Dataset) -> Iterator[tuple[str, str, Float64[np.ndarray, " n"]]]:
    """Yield each measure: the reasons for a low and for a high value, and the values over all splits."""
    splits = list(dataset.splits.values())
    values = np.concatenate([_of_pixels(part) for split in splits for part in chunks(split.images)])
    yield "much darker than the others", "much brighter than the others", values[:, 0]
    yield "blank, or of little contrast", "of much contrast", values[:, 1]
    yield "blurred", "noisy, or unusually sharp", values[:, 2]
    if all(split.sizes is not None for split in splits):
        sizes = np.concatenate([_sides(split) for split in splits])
        yield "much smaller than the others", "much larger than the others", np.log(sizes.prod(axis=1))
        yield "unusually wide", "unusually tall", np.log(sizes[:, 0] / sizes[:, 1])


def _of_pixels(images: Shaped[np.ndarray, "n height width channels"]) -> Float64[np.ndarray, "n 3"]:
    """Return brightness, contrast and sharpness."""
    grey = images.mean(axis=3, dtype=np.float32)
    edges = laplace(grey, axes=(1, 2)) if grey.size else grey
    contrast = grey.std(axis=(1, 2), dtype=np.float64)
    sharpness = np.log((edges.var(axis=(1, 2), dtype=np.float64) + 1) / (contrast**2 + 1))
    return np.stack([grey.mean(axis=(1, 2), dtype=np.float64), contrast, sharpness], axis=1)


def _sides(split: Split) -> Float64[np.ndarray, "n 2"]:
    return np.maximum(np.asarray(split.sizes, np.float64), 1)


def _distances(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the distances from the median, in robust standard deviations."""
    median = np.median(values)
    spread = TO_STANDARD_DEVIATION * np.median(np.abs(values - median))
    return np.asarray((values - median) / max(float(spread), LEAST_SPREAD * max(1.0, abs(float(median)))))
