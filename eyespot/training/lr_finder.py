"""Which learning rate to train with, from the losses while it rises."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eyespot.errors import DivergedError, ModelError
from eyespot.shapes import Float64

MOMENTUM = 0.9  # of the average that tells whether the loss diverges
WIDTH = 0.25  # of the smoothing, a standard deviation in decades of the learning rate
SHARE = 0.8  # of its fall that the loss has made at the suggested rate
FEWEST = 10  # steps that say anything
# Standard errors by which the loss must fall: noise alone did not in 4,000 simulated curves; of data it fell by 26.
CERTAIN = 8.0
ROUNDING = 1e-6


class Smoothing:
    """A moving exponential average without its bias towards 0: Kingma and Ba 2014 (arXiv:1412.6980), section 3."""

    def __init__(self, momentum: float = MOMENTUM) -> None:
        self.momentum, self._sum, self._weight = momentum, 0.0, 0.0

    def add(self, value: float) -> float:
        """The average with one more value in it."""
        self._sum = self.momentum * self._sum + (1 - self.momentum) * value
        self._weight = self.momentum * self._weight + (1 - self.momentum)
        return self._sum / self._weight


@dataclass(frozen=True)
class RateCurve:
    """The loss at rising learning rates, one step each.

    Attributes:
        rates: of the steps, by equal factors.
        losses: of their batches, before their updates, in nats; all finite.
        diverged: the last one is where the loss was lost; else all rates were tried.
    """

    rates: Float64[np.ndarray, " steps"]
    losses: Float64[np.ndarray, " steps"]
    diverged: bool

    @property
    def width(self) -> float:
        """Width of the smoothing, a standard deviation in steps."""
        decades = np.log10(self.rates[-1] / self.rates[0])
        return float(WIDTH * (len(self.rates) - 1) / decades)

    @cached_property
    def smoothed(self) -> Float64[np.ndarray, " steps"]:
        """The losses without the noise of their batches: weighted by a Gaussian on both sides.

        Nothing is shifted to higher rates, as it is by an average over the past.
        """
        steps = np.arange(len(self.losses))
        weights = np.exp(-(((steps[:, None] - steps) / self.width) ** 2) / 2)
        smoothed: Float64[np.ndarray, " steps"] = weights @ self.losses / weights.sum(axis=1)
        return smoothed

    @property
    def standard_error(self) -> float:
        """Standard error of a smoothed loss, in nats, from the noise about the curve up to its minimum."""
        until_minimum = slice(0, int(self.smoothed.argmin()) + 1)
        noise = (self.losses - self.smoothed)[until_minimum].std()
        return float(noise / np.sqrt(2 * np.sqrt(np.pi) * self.width))


def suggest(curve: RateCurve) -> float:
    """The learning rate at which the smoothed loss has made four fifths of its fall, to two digits.

    `benchmarks/lr_finder.py` compares it with other rules.

    Raises:
        DivergedError: there are too few steps before the loss diverges.
        ModelError: the loss does not fall.
    """
    if len(curve.losses) < FEWEST:
        moment = f"after {len(curve.losses)} steps" if len(curve.losses) else "at the first step"
        raise DivergedError(
            f"No learning rate can be suggested: the loss diverged {moment}, where the rate is lowest. Check that "
            "pixels are rescaled and weights are finite."
        )
    smoothed = curve.smoothed
    lowest = int(smoothed.argmin())
    highest = int(smoothed[: lowest + 1].argmax())
    fall = smoothed[highest] - smoothed[lowest]
    if not fall > max(CERTAIN * curve.standard_error, ROUNDING * smoothed[highest]):
        raise ModelError(
            f"No learning rate can be suggested: from {curve.rates[0]:.1e} to {curve.rates[-1]:.1e} the loss does not "
            f"fall beyond its noise (from {smoothed[highest]:.3f} to {smoothed[lowest]:.3f}). Check labels and model, "
            "or take a larger `training.batch_size`."
        )
    above = np.flatnonzero(smoothed[: lowest + 1] > smoothed[highest] - SHARE * fall)
    return float(f"{curve.rates[above[-1] + 1]:.1e}")
