"""Confidence intervals of measured figures, and tests of whether one classifier is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, t, ttest_rel

from eyespot.errors import DataError
from eyespot.shapes import Bool, Float64, Int64

RESAMPLES = 2_000
CELLS_AT_ONCE = 1 << 22  # drawn counts, of eight bytes
SIGNIFICANT = 0.05


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

    Images drawn anew, with replacement, are counts drawn anew from the confusion matrix: a multinomial distribution
    over its cells.

    Args:
        confusion: images of each class (row) that were taken for each class (column).
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
        _macro_f1(generator.multinomial(int(confusion.sum()), shares, min(step, RESAMPLES - drawn)), rows, columns)
        for drawn in range(0, RESAMPLES, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(scores), (tail, 1 - tail))
    return float(low), float(high)


def _macro_f1(
    counts: Int64[np.ndarray, "resamples cells"],
    rows: Int64[np.ndarray, " cells"],
    columns: Int64[np.ndarray, " cells"],
) -> Float64[np.ndarray, " resamples"]:
    """Macro F1 of each resample, over the classes that it holds or names: 2 correct / (true + predicted)."""
    classes = int(max(rows.max(), columns.max())) + 1
    correct, totals = np.zeros((2, len(counts), classes))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        totals[:, row] += counts[:, cell]
        totals[:, column] += counts[:, cell]
        if row == column:
            correct[:, row] += counts[:, cell]
    present = totals > 0
    scores = np.divide(2 * correct, totals, out=np.zeros_like(correct), where=present)
    mean: Float64[np.ndarray, " resamples"] = scores.sum(axis=1) / present.sum(axis=1)
    return mean


@dataclass(frozen=True)
class Mcnemar:
    """Two classifiers on the same images.

    Attributes:
        n: images.
        only_first, only_second: how many of them only one of the two got right.
        p_value: how probable so uneven a split would be if both erred alike.
    """

    n: int
    only_first: int
    only_second: int
    p_value: float

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first, in [-1, 1]."""
        return (self.only_second - self.only_first) / self.n


def mcnemar(first_right: Bool[np.ndarray, " n"], second_right: Bool[np.ndarray, " m"]) -> Mcnemar:
    """The exact test of McNemar (1947, Psychometrika 12:153-157): two-sided, on the images on which they differ.

    Args:
        first_right: of each image, whether the first classifier is right; `second_right` of the same images.

    Raises:
        DataError: they are not of the same images, or there are none.
    """
    if first_right.shape != second_right.shape or not len(first_right):
        raise DataError(f"Both must be of the same images: {len(first_right):,} and {len(second_right):,} were given.")
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    differ = only_first + only_second
    p_value = float(binomtest(only_first, differ).pvalue) if differ else 1.0
    return Mcnemar(len(first_right), only_first, only_second, p_value)


@dataclass(frozen=True)
class PairedOverSeeds:
    """Two recipes, trained with the same seeds.

    Attributes:
        mean: of the differences, second minus first.
        low, high: its 95 % interval.
        p_value: how probable so large a mean would be if neither were better.
    """

    mean: float
    low: float
    high: float
    p_value: float


def paired_over_seeds(first: Sequence[float], second: Sequence[float]) -> PairedOverSeeds:
    """Student's paired t-test of figures that two recipes reached, seed by seed (Student 1908, Biometrika 6:1-25).

    Where all differences are equal, as on few images they may be, the interval is that one number, and the p-value is
    1 for no difference and 0 for one.

    Raises:
        DataError: there are fewer than two seeds, or not as many of each.
    """
    if len(first) != len(second) or len(first) < 2:  # noqa: PLR2004 - one difference has no spread
        raise DataError(f"A paired test takes two seeds or more of both: {len(first)} and {len(second)} were given.")
    differences = np.subtract(second, first)
    mean = float(differences.mean())
    if np.ptp(differences) == 0:
        return PairedOverSeeds(mean, mean, mean, float(mean == 0))
    test = ttest_rel(second, first)
    interval = test.confidence_interval()
    return PairedOverSeeds(mean, float(interval.low), float(interval.high), float(test.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted: all together then err as seldom as one (Holm 1979, Scand. J. Stat. 6:65-70).

    Returns:
        In the order given: what may be compared with 0.05 as if there were one test.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
