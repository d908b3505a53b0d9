"""Fitting what `--reject` goes by: what pictures are like on training data, and how far off is usual on validation."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.decomposition import PCA

from eyespot.data.dataset import Split
from eyespot.inference.predictor import BATCH, Predictor
from eyespot.inference.rejection import LEVELS, Gaussian, Rejection, contrasts, directed, flat, shrunk
from eyespot.seeds import seed_for
from eyespot.shapes import Float32, Float64, Int64, Shaped

MOST_PICTURES, MOST_NUMBERS = 10_000, 1 << 23  # of a split, and in all their grids: more change little
MOST_DIRECTIONS = 64
FEATURE_NUMBERS, PIXEL_NUMBERS = 32_768, 48_000  # in all directions together: 64 and 94 KiB in `model.onnx`
STORED = np.float16
USUAL, HIGH = 0.5, 0.99  # quantiles
MOST_VARIANCE = 0.9  # in all directions together: what is left is the noise that any picture may have
LEAST_SPREAD = 1e-3  # of the mean variance: with less, pictures only happen not to differ
SMALLEST = float(np.finfo(np.float32).eps)  # variance, where all pictures are the same
FAINT = 0.001  # the share of training pictures that may have less contrast than `faintest`
JITTER = 1 / 28  # of a side: so far off centre, pixels are as usual as ever


@dataclass(frozen=True)
class _Seen:
    """What a rejection goes by, of some pictures."""

    features: Float32[np.ndarray, "n d"]
    grids: Float32[np.ndarray, "n rows columns channels"]
    contrasts: Float64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]


def fit_rejection(predictor: Predictor, train: Split, validation: Split | None, seed: int) -> Rejection:
    """Fits a rejection for a trained model; it takes at most 10,000 pictures of each split.

    Args:
        train: what the model has learnt from: means and variances are theirs.
        validation: from these comes what is usual, and with it every threshold. None: from every other training
            picture; the model has learnt from them, so that it rejects more than the stated share of new ones.
        seed: of which pictures are taken, and of their shifts.

    Raises:
        ModelError: the model cannot be run on them.
    """
    generator = np.random.default_rng(seed_for(seed, "rejection"))
    rows = _some(train, generator)
    if validation is not None:
        learnt, held = _see(predictor, train, rows), _see(predictor, validation, _some(validation, generator))
    else:
        learnt, held = _see(predictor, train, rows[-1::-2]), _see(predictor, train, rows[::2])
    pixels = flat(_jittered(learnt.grids, generator))
    one_mean = np.zeros(len(pixels), np.int64)
    by_features = _gaussian(learnt.features, learnt.labels, FEATURE_NUMBERS, seed)
    by_pixels = _gaussian(pixels, one_mean, PIXEL_NUMBERS, seed)
    rejection = Rejection(
        features=_scaled(by_features, held.features),
        pixels=_scaled(by_pixels, flat(held.grids)),
        faintest=float(np.quantile(learnt.contrasts, FAINT)),
        quantiles=np.zeros(LEVELS, np.float32),
        source="train" if validation is None else "validation",
        pictures=len(held.labels),
    )
    strangeness = rejection.combined(held.contrasts, held.features, flat(held.grids))
    quantiles = np.quantile(strangeness, np.linspace(0, 1, LEVELS), method="higher")
    return replace(rejection, quantiles=quantiles.astype(np.float32))


def _some(split: Split, generator: np.random.Generator) -> Int64[np.ndarray, " m"]:
    numbers = shrunk(np.asarray(split.images[:1])).size
    return generator.permutation(len(split))[: min(MOST_PICTURES, MOST_NUMBERS // numbers)]


def _see(predictor: Predictor, split: Split, rows: Int64[np.ndarray, " m"]) -> _Seen:
    """A batch at a time, so that pictures from disk need little memory."""
    features, grids, deviations = [], [], []
    for start in range(0, len(rows), BATCH):
        images = np.asarray(split.images[rows[start : start + BATCH]])
        features.append(directed(predictor.features(images)))
        grids.append(shrunk(images))
        deviations.append(contrasts(images))
    return _Seen(np.concatenate(features), np.concatenate(grids), np.concatenate(deviations), split.labels[rows])


def _jittered(
    grids: Float32[np.ndarray, "n rows columns channels"], generator: np.random.Generator
) -> Float32[np.ndarray, "n rows columns channels"]:
    """Each picture moved at random by up to a 28th of its sides, its edge repeated."""
    height, width = grids.shape[1:3]
    down, right = (round(side * JITTER) for side in (height, width))
    padded = np.pad(grids, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    tops, lefts = (generator.integers(0, 2 * most + 1, len(grids)) for most in (down, right))
    moved = [
        picture[top : top + height, left : left + width] for picture, top, left in zip(padded, tops, lefts, strict=True)
    ]
    return np.stack(moved)


def _gaussian(values: Float32[np.ndarray, "n d"], groups: Int64[np.ndarray, " n"], numbers: int, seed: int) -> Gaussian:
    """A mean for each group, and the covariance they share; rounded as it will be stored."""
    present, group = np.unique(groups, return_inverse=True)
    means = np.stack([values[group == number].mean(axis=0) for number in range(len(present))])
    spread = values - means[group]
    n, d = spread.shape
    total = float(spread.var(axis=0).sum())
    most = min(MOST_DIRECTIONS, numbers // d, n - 1, d - 1)
    directions, variances = np.zeros((0, d), np.float32), np.zeros(0, np.float32)
    if most > 0 and total > 0:
        principal = PCA(most, random_state=seed_for(seed, "rejection", "directions")).fit(spread)
        kept = int(np.searchsorted(principal.explained_variance_ratio_.cumsum(), MOST_VARIANCE))
        directions, variances = principal.components_[:kept], principal.explained_variance_[:kept]
    rest = max((total - float(variances.sum())) / (d - len(variances)), LEAST_SPREAD * total / d, SMALLEST)
    return Gaussian(_rounded(means), _rounded(directions), np.maximum(variances, rest).astype(np.float32), rest)


def _rounded(array: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    stored: Float32[np.ndarray, ...] = array.astype(STORED).astype(np.float32)
    return stored


def _scaled(gaussian: Gaussian, held: Float32[np.ndarray, "n d"]) -> Gaussian:
    """Distances are usual and high as those of the pictures held out are."""
    usual, high = np.quantile(gaussian.distances(held), (USUAL, HIGH))
    return replace(gaussian, usual=float(usual), high=float(max(high, usual + 1e-3 * max(1.0, abs(usual)))))
