"""Validation loss by epoch, and whether a change in it is more than chance.

Chance has two sources. Other validation images would give another change: its standard error is that of a paired
comparison, image by image. And training jumps from epoch to epoch. A rise is claimed where it is beyond the first, and
where the epochs after the lowest rise steadily. To bound a change, both errors add up: the variance of a jump is
estimated from second differences of the curve, which a straight trend does not enter (Gasser, Sroka and
Jennen-Steinmetz 1986, Biometrika 73:625-633), less what the choice of images adds to it. Changes are measured between
windows of a fifth of the epochs, each without its highest and its lowest epoch: a spike is no trend.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.stats import kendalltau, t

from eyespot.shapes import Bool, Float32, Float64, Int64

WINDOW = 3  # fewest epochs whose mean is compared, in courses of at least twice as many; in shorter ones, single epochs
SHARE = 5  # a window is a fifth of the course
FEWEST_JUMPS = 3  # second differences that the size of a jump is estimated from, where the course has as many
# Standard deviation of the change of one image's loss, in units of the loss: assumed where only the curve is known.
# `tests/slow/test_verdict.py` prints what trainings have.
SPREAD = 3.0


@dataclass(frozen=True)
class ImageResults:
    """Results of a model on images, computed as in prediction: without dropout, augmentation or updates.

    Attributes:
        losses: cross-entropy of each image, in nats.
        right: whether the most probable class is the label.
        penalty: the model's regularisation losses, which Keras adds to the mean.
    """

    losses: Float32[np.ndarray, " images"]
    right: Bool[np.ndarray, " images"]
    penalty: float = 0.0

    @cached_property
    def loss(self) -> float:
        """Mean loss as Keras states it, in nats."""
        return float(self.losses.mean(dtype=np.float64)) + self.penalty

    @cached_property
    def accuracy(self) -> float:
        """Accuracy, a fraction."""
        return float(self.right.mean())

    @property
    def means(self) -> tuple[float, float]:
        """Loss and accuracy."""
        return self.loss, self.accuracy


@dataclass(frozen=True)
class Evidence:
    """Results of a training on single images.

    Attributes:
        validation_losses: loss of each validation image after each epoch, in nats.
        train: results of a sample of the training images after the last epoch.
        validation: results of the validation images after the last epoch.
        kept_train: results of the same training images with the weights that are kept.
        kept_validation: results of the validation images with the weights that are kept.
    """

    validation_losses: Float32[np.ndarray, "epochs images"]
    train: ImageResults
    validation: ImageResults
    kept_train: ImageResults
    kept_validation: ImageResults

    @property
    def kept(self) -> tuple[ImageResults, ImageResults]:
        """Results of training and validation images with the weights that are kept."""
        return self.kept_train, self.kept_validation


@dataclass(frozen=True)
class Estimate:
    """A figure with what chance does to it.

    Attributes:
        value: the figure.
        image_error: standard error of `value` due to the choice of images.
        epoch_error: standard error of `value` due to the jumping of epochs; infinite where it cannot be estimated.
        freedom: degrees of freedom of both errors together (Welch 1947, Biometrika 34:28-35).
    """

    value: float
    image_error: float = 0.0
    epoch_error: float = 0.0
    freedom: float = math.inf

    @property
    def error(self) -> float:
        """Standard error of `value`."""
        return math.hypot(self.image_error, self.epoch_error)

    def p_value(self, choices: int = 1) -> float:
        """Probability of a figure this high where the true one is 0.

        Args:
            choices: figures of which the highest was chosen (Bonferroni's correction).
        """
        if self.error == 0:
            return float(self.value <= 0)
        return min(1.0, choices * float(t.sf(self.value / self.error, self.freedom)))

    def bound(self, significance: float) -> float:
        """Upper confidence bound; a lower one for a significance above 0.5."""
        if self.error == 0:
            return self.value
        return self.value + self.error * float(t.isf(significance, self.freedom))


class ValidationCurve:
    """The validation loss of each epoch, with the losses of single images where they are known.

    Args:
        means: the curve, in nats.
        by_image: loss of each image after each epoch; None: only the curve is known.
        images: number of validation images; None: unknown, and what their choice adds to chance is left out.
    """

    def __init__(
        self,
        means: Sequence[float],
        by_image: Float32[np.ndarray, "epochs images"] | None = None,
        images: int | None = None,
    ) -> None:
        self.by_image = by_image
        self.means = np.array(means) if by_image is None else by_image.mean(axis=1, dtype=np.float64)
        self.images = images if by_image is None else by_image.shape[1]
        self.width = max(WINDOW, len(self.means) // SHARE) if len(self.means) >= 2 * WINDOW else 1

    @cached_property
    def smooth(self) -> Float64[np.ndarray, " windows"]:
        """Loss of every window of `width` epochs."""
        starts = range(len(self.means) - self.width + 1)
        return np.array([self.mean(slice(start, start + self.width)) for start in starts])

    @cached_property
    def lowest(self) -> slice:
        """Epochs (from 0) of the window with the lowest mean."""
        first = int(self.smooth.argmin())
        return slice(first, first + self.width)

    @property
    def choices(self) -> int:
        """Windows of which the lowest is chosen, counted without overlap: simulations show no more false alarms."""
        return math.ceil(len(self.means) / self.width)

    @property
    def last(self) -> slice:
        """Epochs (from 0) of the last window."""
        return slice(len(self.means) - self.width, len(self.means))

    def before(self, epochs: int) -> slice | None:
        """The window that lies a number of epochs before the last one; None where the course is shorter."""
        first = self.last.start - epochs
        return slice(first, first + self.width) if first >= 0 else None

    @cached_property
    def rise(self) -> Estimate:
        """The change from the lowest window to the last one, in nats."""
        return self.change(self.lowest, self.last)

    @property
    def rise_p_value(self) -> float:
        """Probability of the rise if other images had none, or if it were a jump: the larger, since each must go."""
        image_estimate = replace(self.rise, epoch_error=0.0, freedom=max(1, (self.images or 2) - 1))
        return max(image_estimate.p_value(self.choices), self.trend_p_value)

    @property
    def trend_p_value(self) -> float:
        """Probability that the epochs after the lowest rise so steadily if they only jump.

        By the rank correlation of Kendall (1938, Biometrika 30:81-93) between epoch and loss.
        The lowest epoch was chosen and has no part in it: the order of those after it does not depend on the choice.
        """
        later_means = self.means[int(self.means.argmin()) + 1 :]
        if len(later_means) < 2 or np.ptp(later_means) == 0:  # noqa: PLR2004 - one epoch has no order, nor have equal ones
            return 1.0
        return float(kendalltau(np.arange(len(later_means)), later_means, alternative="greater").pvalue)

    def mean(self, window: slice) -> float:
        """Mean loss over a window without its highest and its lowest epoch, in nats."""
        return float(self.means[self._trimmed(window)].mean())

    def _trimmed(self, window: slice) -> Int64[np.ndarray, " epochs"]:
        """The epochs of a window without the highest and the lowest; all of a window of fewer than three."""
        epochs = window.start + np.argsort(self.means[window], kind="stable")
        return np.sort(epochs[1:-1] if self.width >= WINDOW else epochs)

    def change(self, earlier: slice, later: slice) -> Estimate:
        """The later window's mean minus the earlier one's, in nats."""
        value = self.mean(later) - self.mean(earlier)
        distance = min(self.width, abs(later.start - earlier.start))  # epochs of each window that the other has not
        variance, jumps = self._jump_variance
        # A trimmed mean is about as precise as the mean of one epoch less.
        window_variance = variance / (self.width - 1) if self.width >= WINDOW else variance
        epoch_error = math.sqrt(2 * window_variance * distance / self.width) if distance else 0.0
        image_error = self._image_error(earlier, later)
        error = math.hypot(image_error, epoch_error)
        image_term = image_error**4 / max(1, (self.images or 2) - 1)
        freedom = error**4 / (image_term + epoch_error**4 / jumps) if 0 < error < math.inf else 1.0
        return Estimate(value, image_error, epoch_error, max(1.0, freedom))

    def _image_error(self, earlier: slice, later: slice) -> float:
        if self.by_image is not None:
            later_losses, earlier_losses = (
                self.by_image[self._trimmed(window)].mean(axis=0) for window in (later, earlier)
            )
            changes = later_losses - earlier_losses
            return float(changes.std(ddof=1)) / math.sqrt(len(changes)) if len(changes) > 1 else math.inf
        if self.images is None or earlier == later:
            return 0.0
        return SPREAD * (self.mean(earlier) + self.mean(later)) / 2 / math.sqrt(self.images)

    @cached_property
    def _jump_variance(self) -> tuple[float, float]:
        """Variance of an epoch's loss about the trend, and its degrees of freedom; from the lowest epoch on."""
        first = max(0, min(int(self.means.argmin()), len(self.means) - FEWEST_JUMPS - 2))
        if len(self.means) - first < 3:  # noqa: PLR2004 - a second difference takes three
            return math.inf, 1.0
        squares = _second_differences(self.means[first:]) ** 2
        if self.by_image is not None and len(self.by_image[0]) > 1:
            by_image = _second_differences(self.by_image[first:])
            squares = squares - by_image.var(axis=1, ddof=1) / by_image.shape[1]
        return max(0.0, float(np.mean(squares))) * 2 / 3, _freedom(len(squares))


def _second_differences(values: np.ndarray) -> np.ndarray:
    """Difference of each epoch from the mean of its neighbours."""
    differences: np.ndarray = values[1:-1] - (values[:-2] + values[2:]) / 2
    return differences


def _freedom(differences: int) -> float:
    """Degrees of freedom of a variance from overlapping second differences (Satterthwaite 1946, Biometrics 2:110-114).

    A difference has the variance 3/2 of an epoch's, its covariance with the next is -1, with the one after that 1/4.
    """
    squares = differences * 1.5**2 + 2 * (differences - 1) + 2 * max(0, differences - 2) * 0.25**2
    return (differences * 1.5) ** 2 / squares
