"""Fitting what `reject` goes by: what images are like on training data, and how far off is usual on validation."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sklearn.decomposition import PCA

from eyespot.data.dataset import Split
from eyespot.inference.ood import LEVELS, Gaussian, Rejection, contrasts, directed, flat, shrunk
from eyespot.inference.predictor import BATCH, Predictor
from eyespot.random import seed_for
from eyespot.shapes import Float32, Float64, Int64, Shaped, UInt8

MOST_PICTURES, MOST_NUMBERS = 10_000, 1 << 23  # of a split, and in all their grids, 32 MB: more change little
MOST_DIRECTIONS = 64
FEATURE_NUMBERS, PIXEL_NUMBERS = 32_768, 48_000  # in all directions together: 64 and 94 KiB in `model.onnx`
STORED = np.float16
USUAL, HIGH = 0.5, 0.99  # quantiles
MOST_VARIANCE = 0.9  # in all directions together: what is left is the noise that any image may have
LEAST_SPREAD = 1e-3  # share of the mean variance, at least assumed: few images may be alike by chance
SMALLEST = float(np.finfo(np.float32).eps)  # variance, where all images are the same
FAINT = 0.001  # the share of training images that may have less contrast than `faintest`
JITTER = 1 / 28  # of a side: so far off centre, pixels are as usual as ever


def fit_rejection(predictor: Predictor, train: Split, validation: Split | None, seed: int) -> Rejection:
    """Fits a rejection for a trained model; it takes at most 10,000 images of each split.

    Args:
        train: what the model has learnt from: means and variances are theirs.
        validation: from these comes what is usual, and with it every threshold. None: from every other training
            image; the model has learnt from them, so that it rejects more than the stated share of new ones.
        seed: of which images are taken, and of their shifts.

    Raises:
        ModelError: the model cannot be run on them.
    """
    generator = np.random.default_rng(seed_for(seed, "rejection"))
    rows = _some(train, generator)
    if validation is not None:
        held_split, held_rows = validation, _some(validation, generator)
    else:
        held_split, held_rows, rows = train, rows[::2], rows[-1::-2]
    features, grids, deviations = _see(predictor, train, rows)
    _jitter(grids, generator)
    unscaled = Rejection(
        features=_gaussian(features, train.labels[rows], FEATURE_NUMBERS, seed),
        pixels=_gaussian(flat(grids), np.zeros(len(rows), np.int64), PIXEL_NUMBERS, seed),
        faintest=float(np.quantile(deviations, FAINT)),
        quantiles=np.zeros(LEVELS, np.float32),
        source="train" if validation is None else "validation",
        pictures=len(held_rows),
    )
    del features, grids
    parts = [unscaled.measures(images, predictor.features(images)) for images in _batches(held_split, held_rows)]
    contrast, feature_distances, pixel_distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    rejection = replace(
        unscaled,
        features=_scaled(unscaled.features, feature_distances),
        pixels=_scaled(unscaled.pixels, pixel_distances),
    )
    strangeness = rejection.largest(contrast, feature_distances, pixel_distances)
    quantiles = np.quantile(strangeness, np.linspace(0, 1, LEVELS), method="higher")
    return replace(rejection, quantiles=quantiles.astype(np.float32))


def _some(split: Split, generator: np.random.Generator) -> Int64[np.ndarray, " m"]:
    numbers = shrunk(np.asarray(split.images[:1])).size
    return generator.permutation(len(split))[: min(MOST_PICTURES, MOST_NUMBERS // numbers)]


def _see(
    predictor: Predictor, split: Split, rows: Int64[np.ndarray, " m"]
) -> tuple[
    Float32[np.ndarray, "m d"], Float32[np.ndarray, "m rows columns channels"], Float64[np.ndarray, " m"]
]:  # fmt: skip
    """Features, pixels and contrasts of some images."""
    parts = ((predictor.features(images), shrunk(images), contrasts(images)) for images in _batches(split, rows))
    features, grids, deviations = (np.concatenate(part) for part in zip(*parts, strict=True))
    return directed(features), grids, deviations


def _batches(split: Split, rows: Int64[np.ndarray, " m"]) -> Iterator[UInt8[np.ndarray, "b height width channels"]]:
    """Batches of the images, so that images from disk need little memory."""
    for start in range(0, len(rows), BATCH):
        yield np.asarray(split.images[rows[start : start + BATCH]])


def _jitter(grids: Float32[np.ndarray, "n rows columns channels"], generator: np.random.Generator) -> None:
    """Moves each image at random by up to a 28th of its sides, in place, its edge repeated."""
    n, height, width = grids.shape[:3]
    down, right = (round(side * JITTER) for side in (height, width))
    tops, lefts = (generator.integers(0, 2 * limit + 1, n) for limit in (down, right))
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        padded = np.pad(grids[part], ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
        for row, (picture, top, left) in enumerate(zip(padded, tops[part], lefts[part], strict=True), start=start):
            grids[row] = picture[top : top + height, left : left + width]


def _gaussian(values: Float32[np.ndarray, "n d"], groups: Int64[np.ndarray, " n"], numbers: int, seed: int) -> Gaussian:
    """A mean for each group, and the covariance they share; rounded as it will be stored.

    To spare memory, the differences from the means take the place of the values.
    """
    present, group = np.unique(groups, return_inverse=True)
    n, d = values.shape
    means = np.empty((len(present), d), np.float32)
    for number in range(len(present)):
        means[number] = values[group == number].mean(axis=0, dtype=np.float64)
    total = 0.0
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        values[part] -= means[group[part]]
        total += float(np.square(values[part], dtype=np.float64).sum()) / n
    limit = min(MOST_DIRECTIONS, numbers // d, n - 1, d - 1)
    directions, variances = np.zeros((0, d), np.float32), np.zeros(0, np.float32)
    if limit > 0 and total > 0:
        principal = PCA(limit, copy=False, random_state=seed_for(seed, "rejection", "directions")).fit(values)
        count = int(np.searchsorted(principal.explained_variance_ratio_.cumsum(), MOST_VARIANCE))
        directions, variances = principal.components_[:count], principal.explained_variance_[:count]
    rest = max((total - float(variances.sum())) / (d - len(variances)), LEAST_SPREAD * total / d, SMALLEST)
    return Gaussian(_rounded(means), _rounded(directions), np.maximum(variances, rest).astype(np.float32), rest)


def _rounded(array: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    stored: Float32[np.ndarray, ...] = array.astype(STORED).astype(np.float32)
    return stored


def _scaled(gaussian: Gaussian, distances: Float64[np.ndarray, " n"]) -> Gaussian:
    """Usual and high is what the images held out have."""
    usual, high = np.quantile(distances, (USUAL, HIGH))
    return replace(gaussian, usual=float(usual), high=float(max(high, usual + 1e-3 * max(1.0, abs(usual)))))
