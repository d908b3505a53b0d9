"""How sure a measured figure is."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, t

from eyespot.errors import DataError
from eyespot.shapes import Float64, Int64

RESAMPLES = 2_000
CELLS_AT_ONCE = 1 << 22  # drawn counts, of eight bytes


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a fraction (Wilson 1927, JASA 22:209-212), as SciPy computes it.

    Returns:
        Its lower and upper end, fractions in [0, 1].
    """
    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of repeated measurements (Student 1908, Biometrika 6:1-25).

    Raises:
        DataError: there are fewer than two.
    """
    if len(values) < 2:  # noqa: PLR2004 - one has no spread
        raise DataError(f"An interval of a mean takes two measurements or more: {len(values)} were given.")
    mean = float(np.mean(values))
    half = float(np.std(values, ddof=1) / np.sqrt(len(values)) * t.ppf((1 + confidence) / 2, len(values) - 1))
    return mean - half, mean + half


def macro_f1_interval(
    confusion: Int64[np.ndarray, "classes classes"], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The bootstrap's percentile interval of the macro-averaged F1 score (Efron 1979, Annals of Statistics 7:1-26).

    Pictures drawn anew, with replacement, are counts drawn anew from the confusion matrix: a multinomial distribution
    over its cells.

    Args:
        confusion: pictures of each class (row) that were taken for each class (column).
        seed: of the draws.

    Returns:
        Its lower and upper end, in [0, 1].
    """
    filled = np.flatnonzero(confusion)
    shares = confusion.ravel()[filled] / confusion.sum()
    generator = np.random.default_rng(seed)
    step = max(1, CELLS_AT_ONCE // len(filled))
    rows, columns = np.divmod(filled, len(confusion))
    scores = [
        _macro_f1(generator.multinomial(int(confusion.sum()), shares, min(step, RESAMPLES - done)), rows, columns)
        for done in range(0, RESAMPLES, step)
    ]
    beyond = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(scores), (beyond, 1 - beyond))
    return float(low), float(high)


def _macro_f1(
    counts: Int64[np.ndarray, "resamples cells"],
    rows: Int64[np.ndarray, " cells"],
    columns: Int64[np.ndarray, " cells"],
) -> Float64[np.ndarray, " resamples"]:
    """Of each resample: the mean over the classes that it holds or names; 2 right / (true + taken for it)."""
    classes = int(max(rows.max(), columns.max())) + 1
    right, both = np.zeros((2, len(counts), classes))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        both[:, row] += counts[:, cell]
        both[:, column] += counts[:, cell]
        if row == column:
            right[:, row] += counts[:, cell]
    present = both > 0
    scores = np.divide(2 * right, both, out=np.zeros_like(right), where=present)
    mean: Float64[np.ndarray, " resamples"] = scores.sum(axis=1) / present.sum(axis=1)
    return mean
