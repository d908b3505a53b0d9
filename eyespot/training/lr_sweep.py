"""Training while the learning rate rises: the losses that a learning rate is chosen by.

Smith 2015 (arXiv:1506.01186), section 3.3; here the rate rises exponentially, as has become usual.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from eyespot.data.dataset import Split
from eyespot.engine.steps import Epoch, Mean
from eyespot.recipe.schema import TrainingRecipe
from eyespot.shapes import Float64
from eyespot.training.fit import order_of
from eyespot.training.lr_finder import RateCurve, Smoothing
from eyespot.training.program import Program

WORSE, MARGIN = 4.0, 0.5  # the smoothed loss has diverged at four times its minimum, and half a nat above it


@runtime_checkable
class RateSweepProgram(Program, Protocol):
    """A program whose learning rate is no schedule."""

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate from the next step on."""


def sweep(
    program: RateSweepProgram,
    split: Split,
    recipe: TrainingRecipe,
    rates: Float64[np.ndarray, " steps"],
    on_step: Callable[[int, float, float], None] | None = None,
) -> RateCurve:
    """One step at each learning rate, epoch after epoch of the split, until the smoothed loss diverges.

    Batches, their order and all that is drawn are those of a training by the same recipe. Weights and the optimizer's
    state are afterwards what they were.

    Args:
        rates: rising, by equal factors.
        on_step: receives the number of the step, from 1, its learning rate, and the smoothed loss.

    Returns:
        The steps until the loss was no number, or had diverged.
    """
    weights, state = program.weights(), program.optimizer_state()
    try:
        return _swept(program, split, recipe, rates, on_step)
    finally:
        program.set_weights(weights)
        program.set_optimizer_state(state)


def _swept(
    program: RateSweepProgram,
    split: Split,
    recipe: TrainingRecipe,
    rates: Float64[np.ndarray, " steps"],
    on_step: Callable[[int, float, float], None] | None,
) -> RateCurve:
    steps, batch_size = recipe.steps_for(len(split)), recipe.batch_size_for(len(split))
    smoothing, lowest = Smoothing(), math.inf
    losses: list[float] = []
    for number, rate in enumerate(rates):
        epoch, index = divmod(number, steps)
        if index == 0:
            program.begin_epoch(Epoch(split, order_of(split, recipe, epoch + 1), batch_size, number), Mean())
            loss_sum, pictures = 0.0, 0
        program.set_learning_rate(float(rate))
        program.train_step(index)
        mean = program.mean()
        loss = (mean.loss_sum - loss_sum) / (mean.pictures - pictures)
        loss_sum, pictures = mean.loss_sum, mean.pictures
        if not math.isfinite(loss):
            return RateCurve(rates[:number], np.array(losses, float), diverged=True)
        losses.append(loss)
        smoothed = smoothing.add(loss)
        lowest = min(lowest, smoothed)
        if on_step:
            on_step(number + 1, float(rate), smoothed)
        if smoothed > max(WORSE * lowest, lowest + MARGIN):
            return RateCurve(rates[: number + 1], np.array(losses), diverged=True)
    return RateCurve(rates, np.array(losses), diverged=False)
