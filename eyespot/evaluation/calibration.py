"""Whether a probability means what it says, and how it is made to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from eyespot.errors import DataError
from eyespot.evaluation.statistics import wilson
from eyespot.shapes import Float32, Float64, Int64

BINS = 15
SMALLEST_BIN = 20  # images: with fewer, a bin's accuracy is mostly chance
COLDEST, HOTTEST = 0.05, 20.0  # temperatures
USUAL_SPREAD = 0.5  # standard deviation of the prior on log temperature: a few images allow no extreme temperature
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Bin:
    """Pictures of which a classifier was about as sure.

    Attributes:
        n: how many.
        confidence: the mean of the largest probability.
        accuracy: how many of them it got right; `low` and `high` are the ends of its 95 % interval.
    """

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of probabilities.

    Attributes:
        ece: expected calibration error, over bins of equal counts, in [0, 1].
        brier: Brier score, the squared distance from the right answer, in [0, 2].
        nll: negative log-likelihood, in nats.
        bins: from the least sure to the surest.
    """

    ece: float
    brier: float
    nll: float
    bins: tuple[Bin, ...]


def calibration(probabilities: Float32[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> Calibration:
    """Measures calibration.

    Bins hold equal numbers of images, not equal ranges of probability, most of which hold nothing (adaptive
    calibration error's bins, Nixon et al. 2019, arXiv:1904.01685, of the largest probability; ECE: Naeini et al. 2015,
    AAAI). Brier score: Brier 1950, Monthly Weather Review 78:1-3.

    Raises:
        DataError: there are no images.
    """
    if not len(labels):
        raise DataError("There are no images to measure calibration on.")
    bins = tuple(_bins(probabilities, labels))
    exact = probabilities.astype(np.float64)
    label_probabilities = exact[np.arange(len(labels)), labels]
    brier = float((np.square(exact).sum(axis=1) - 2 * label_probabilities + 1).mean())
    nll = float(-np.log(np.maximum(label_probabilities, TINY)).mean())
    ece = sum(group.n * abs(group.accuracy - group.confidence) for group in bins) / len(labels)
    return Calibration(ece, brier, nll, bins)


def _bins(probabilities: Float32[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> Iterator[Bin]:
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    count = max(1, min(BINS, len(labels) // SMALLEST_BIN))
    for part in np.array_split(np.argsort(confidence, kind="stable"), count):
        low, high = wilson(int(correct[part].sum()), len(part))
        yield Bin(len(part), float(confidence[part].mean(dtype=np.float64)), float(correct[part].mean()), low, high)


def fit_temperature(logits: Float32[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> float:
    """The temperature that calibrates: softmax(logits / temperature) (Guo et al. 2017, arXiv:1706.04599).

    It is the most probable one, given the labels, if beforehand its logarithm is normally distributed around 0 with a
    standard deviation of 0.5. On hundreds of images that is the likeliest one; on twenty images that are all right,
    where the likeliest would be 0, and every answer certain, it stays near 1.

    Args:
        logits: of validation images: on others than these it is to be used.

    Returns:
        A number in [0.05, 20]; above 1 where the network is too sure of itself.

    Raises:
        DataError: there are no images.
    """
    if not len(labels):
        raise DataError("There are no images to fit a temperature on.")
    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled: Float64[np.ndarray, "n classes"] = log_softmax(exact / np.exp(log_temperature), axis=1)
        penalty = np.square(log_temperature / USUAL_SPREAD) / 2
        return float(penalty - scaled[np.arange(len(labels)), labels].sum())

    result = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(result.x))
