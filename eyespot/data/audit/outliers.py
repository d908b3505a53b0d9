"""Images unlike the others in how they were taken: too dark, too bright, blank, blurred, of another size.

What is blurred is measured by fine detail over detail that is a little coarser: blur takes the first and leaves the
second, whatever an image shows. The variance of the Laplacian over that of the pixels (Pech-Pacheco et al., ICPR 2000)
depends on the motif: among 2,527 photographs of waste it calls none of 100 blurred that a Gaussian of 1 pixel blurred,
where this finds 4 in 5; among 2,062 of hands it calls 107 blurred, half of a series that is softer than the rest, and
this 17 (benchmarks/audit.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, laplace

from eyespot.data.dataset import Dataset, Split, chunks
from eyespot.shapes import Float64, Shaped

FAR = 5.0  # robust standard deviations from the median: rarer than one in a million where values are normal
TO_STANDARD_DEVIATION = 1.4826  # of a normal distribution, from the median absolute deviation
LEAST_SPREAD = 0.02  # of the median's size: where all are alike, a small difference is none
BLUR = 1.0  # pixels: standard deviation of the Gaussian that leaves the coarser detail
DETAIL_FLOOR = 0.1  # variance below which detail is rounding: of the Laplacian of faint images
BLANK = 1.0  # below this standard deviation, of 255, an image has no detail to judge


@dataclass(frozen=True)
class Outlier:
    """An image that stands out.

    Attributes:
        place: its split and row.
        reason: in a word or two: `dark`, `bright`, `low contrast`, `high contrast`, `soft or blurred`, `noisy`; by the
            size of the image in its file `undersized`, `oversized`, `wide`, `tall`.
        distance: from the median, in robust standard deviations.
        measured: the measure, its value and the median of all images, in words.
    """

    place: tuple[str, int]
    reason: str
    distance: float
    measured: str

    def to_dict(self, dataset: Dataset) -> dict[str, Any]:
        """Plain values, with the image's file."""
        name, row = self.place
        files = dataset.splits[name].files
        return {
            "split": name, "row": row, "file": files[row] if files else None, "reason": self.reason,
            "distance": self.distance, "measured": self.measured,
        }  # fmt: skip


@dataclass(frozen=True)
class _Measure:
    """A measure of all images.

    Attributes:
        low: reason for a low value; None: a low value is no fault.
        high: reason for a high value; None: a high value is no fault.
        name: of what is measured, with braces where the value stands.
        values: of all splits' images, as they are compared.
        digits: behind the point, where a value is shown.
        is_log: whether the values are logarithms of what is shown.
    """

    low: str | None
    high: str | None
    name: str
    values: Float64[np.ndarray, " n"]
    digits: int = 0
    is_log: bool = False

    def describe(self, value: float) -> str:
        """The measure in words, with the median."""
        shown = [float(np.exp(x)) if self.is_log else float(x) for x in (value, np.median(self.values))]
        own, median = (f"{x:,.{self.digits}f}" for x in shown)
        return f"{self.name.format(own)} (median {median})"


def find_outliers(dataset: Dataset) -> list[Outlier]:
    """Images that lie far from the others in some measure, the farthest first, each by its farthest measure.

    Brightness is the mean pixel, contrast the standard deviation of the pixels. Fine detail is the logarithm of the
    variance of the Laplacian over that of the same image blurred by a Gaussian of 1 pixel, noise that over the variance
    of the pixels. Sizes are those of the files' images. Distances are from the median, in units of the median absolute
    deviation made comparable to a standard deviation.
    """
    positions = [(name, row) for name, split in dataset.splits.items() for row in range(len(split))]
    outliers: dict[tuple[str, int], Outlier] = {}
    for measure in _measures(dataset):
        distances = _distances(measure.values)
        for number in np.flatnonzero(np.abs(distances) > FAR):
            place, distance = positions[number], float(abs(distances[number]))
            reason = measure.low if distances[number] < 0 else measure.high
            if reason and (place not in outliers or distance > outliers[place].distance):
                outliers[place] = Outlier(place, reason, distance, measure.describe(measure.values[number]))
    return sorted(outliers.values(), key=lambda oddity: -oddity.distance)


def _measures(dataset: Dataset) -> Iterator[_Measure]:
    splits = list(dataset.splits.values())
    values = np.concatenate([_of_pixels(part) for split in splits for part in chunks(split.images)])
    has_detail = values[:, 1] > BLANK
    values[~has_detail, 2] = np.median(values[has_detail, 2]) if has_detail.any() else 0
    yield _Measure("dark", "bright", "mean pixel {}", values[:, 0])
    yield _Measure("low contrast", "high contrast", "contrast {}", values[:, 1])
    yield _Measure("soft or blurred", None, "fine detail {}", values[:, 2], digits=1, is_log=True)
    yield _Measure(None, "noisy", "noise {}", values[:, 3], digits=2, is_log=True)
    if all(split.sizes is not None for split in splits):
        sizes = np.concatenate([_sides(split) for split in splits])
        pixels, shape = np.log(sizes.prod(axis=1)), np.log(sizes[:, 0] / sizes[:, 1])
        yield _Measure("undersized", "oversized", "{} pixels", pixels, is_log=True)
        yield _Measure("wide", "tall", "height / width {}", shape, digits=2, is_log=True)


def _of_pixels(images: Shaped[np.ndarray, "n height width channels"]) -> Float64[np.ndarray, "n 4"]:
    """Return brightness, contrast, fine detail and noise."""
    grey = images.mean(axis=3, dtype=np.float32)
    contrast = grey.std(axis=(1, 2), dtype=np.float64)
    fine = _laplacian_variance(grey)
    coarse = _laplacian_variance(gaussian_filter(grey, BLUR, axes=(1, 2)) if grey.size else grey)
    detail = np.log((fine + DETAIL_FLOOR) / (coarse + DETAIL_FLOOR))
    noise = np.log((fine + 1) / (contrast**2 + 1))
    return np.stack([grey.mean(axis=(1, 2), dtype=np.float64), contrast, detail, noise], axis=1)


def _laplacian_variance(grey: Shaped[np.ndarray, "n height width"]) -> Float64[np.ndarray, " n"]:
    edges = laplace(grey, axes=(1, 2)) if grey.size else grey
    return np.asarray(edges.var(axis=(1, 2), dtype=np.float64))


def _sides(split: Split) -> Float64[np.ndarray, "n 2"]:
    return np.maximum(np.asarray(split.sizes, np.float64), 1)


def _distances(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the distances from the median, in robust standard deviations."""
    median = np.median(values)
    spread = TO_STANDARD_DEVIATION * np.median(np.abs(values - median))
    return np.asarray((values - median) / max(float(spread), LEAST_SPREAD * max(1.0, abs(float(median)))))
