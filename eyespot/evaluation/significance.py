"""Whether one classifier is really better than another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, ttest_rel

from eyespot.errors import DataError
from eyespot.shapes import Bool

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Mcnemar:
    """Two classifiers on the same pictures.

    Attributes:
        n: pictures.
        only_first, only_second: how many of them only one of the two got right.
        p_value: how probable so uneven a split would be if both erred alike.
    """

    n: int
    only_first: int
    only_second: int
    p_value: float

    @property
    def difference(self) -> float:
        """By how much the second's accuracy is higher, in [-1, 1]."""
        return (self.only_second - self.only_first) / self.n


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


def mcnemar(first_right: Bool[np.ndarray, " n"], second_right: Bool[np.ndarray, " m"]) -> Mcnemar:
    """The exact test of McNemar (1947, Psychometrika 12:153-157): two-sided, on the pictures on which they differ.

    Args:
        first_right: of each picture, whether the first classifier is right; `second_right` of the same pictures.

    Raises:
        DataError: they are not of the same pictures, or there are none.
    """
    if first_right.shape != second_right.shape or not len(first_right):
        raise DataError(
            f"Both must be of the same pictures: {len(first_right):,} and {len(second_right):,} were given."
        )
    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    differ = only_first + only_second
    p_value = float(binomtest(only_first, differ).pvalue) if differ else 1.0
    return Mcnemar(len(first_right), only_first, only_second, p_value)


def paired_over_seeds(first: Sequence[float], second: Sequence[float]) -> PairedOverSeeds:
    """Student's paired t-test of figures that two recipes reached, seed by seed (Student 1908, Biometrika 6:1-25).

    Where all differences are equal, as on few pictures they may be, the interval is that one number, and the p-value is
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
    tested = ttest_rel(second, first)
    interval = tested.confidence_interval()
    return PairedOverSeeds(mean, float(interval.low), float(interval.high), float(tested.pvalue))


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
