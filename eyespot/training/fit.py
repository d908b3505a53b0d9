"""The training loop: epochs and steps in an order that is a function of the seed and the epoch."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from eyespot.data.dataset import Dataset
from eyespot.engine.steps import Epoch, Mean
from eyespot.recipe import TrainingRecipe
from eyespot.seeds import seed_for
from eyespot.shapes import Int64
from eyespot.training.history import History, Row
from eyespot.training.program import Program

Ending = Literal["completed", "early stopping", "interrupted", "diverged"]


@dataclass(frozen=True)
class Step:
    """Where training is: `step` of `steps` in `epoch` of `epochs` (all from 1), and the epoch's means so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float


@runtime_checkable
class Observer(Protocol):
    """Told of steps, on a GPU ten times a second, and of every finished epoch."""

    def on_step(self, step: Step) -> None:
        """After a step."""

    def on_epoch(self, row: Row) -> None:
        """After an epoch and its validation."""


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        ending: why it stopped.
        kept_epoch: the epoch after which the model had the weights it now has; 0 for the initial ones. After an
            interruption these may be the weights of the step reached, in the epoch after `kept_epoch`.
        steps_done: updates made in the epoch that was cut short (interrupted, diverged), else 0.
    """

    history: History
    ending: Ending
    kept_epoch: int
    steps_done: int = 0


def fit(
    program: Program,
    dataset: Dataset,
    recipe: TrainingRecipe,
    observers: Sequence[Observer] = (),
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Trains until the epochs are done, validation stops improving, the user interrupts, or the loss is no number.

    Args:
        dataset: its train split is learnt, its validation split (if there is one) judged after each epoch.
        interrupted: asked after every step.

    Returns:
        The outcome; the program's model then holds the weights to keep: of the best epoch by validation loss where
        the recipe keeps the best and there is validation data, else the last ones, after a divergence the last good.

    Raises:
        RecipeError: the batch is larger than the training split.
    """
    return _Loop(program, dataset, recipe, observers, interrupted).run()


@dataclass
class _Kept:
    """The weights after some epoch."""

    weights: list[np.ndarray]
    epoch: int = 0
    loss: float = math.inf


class _Loop:
    """One training under way."""

    def __init__(
        self,
        program: Program,
        dataset: Dataset,
        recipe: TrainingRecipe,
        observers: Sequence[Observer],
        interrupted: Callable[[], bool],
    ) -> None:
        self.program, self.dataset, self.recipe = program, dataset, recipe
        self.observers, self.interrupted = observers, interrupted
        self.pictures = len(dataset.train)
        self.batch_size = recipe.batch_size_for(self.pictures)
        self.history = History()
        self.ending: Ending = "completed"
        self.cut_short_at = 0
        self.last = _Kept(program.weights())
        self.best: _Kept | None = None

    def run(self) -> Outcome:
        """Epoch after epoch, until one says how it ends."""
        for epoch in range(1, self.recipe.epochs + 1):
            if self._epoch(epoch) and not self.interrupted():
                stale = epoch - self.best.epoch if self.best else 0
                if not self.recipe.early_stopping or stale < self.recipe.patience:
                    continue
                self.ending = "early stopping"
            elif self.ending != "diverged":
                self.ending = "interrupted"
            break
        best = self.best if self.recipe.keep == "best" else None
        kept = best or self.last
        if best or self.ending != "interrupted":  # else the weights of the step reached are the last ones
            self.program.set_weights(kept.weights)
        return Outcome(self.history, self.ending, kept.epoch, self.cut_short_at)

    def _epoch(self, epoch: int) -> bool:
        """One epoch and its validation; whether it was finished, with numbers that are numbers."""
        started = time.perf_counter()
        mean = self._steps(epoch, started)
        if self.cut_short_at:
            return False
        trained = time.perf_counter() - started
        row: Row = {"epoch": epoch, "loss": mean.loss, "accuracy": mean.accuracy}
        if self.dataset.validation is not None:
            row["val_loss"], row["val_accuracy"] = self.program.evaluate(self.dataset.validation)
        row |= {
            "learning_rate": self.program.learning_rate,
            "seconds": time.perf_counter() - started,
            "images_per_second": self.pictures / trained,
        }
        weights = self.program.weights()
        if not (math.isfinite(row.get("val_loss", 0)) and all(np.isfinite(weight).all() for weight in weights)):
            self.ending, self.cut_short_at = "diverged", math.ceil(self.pictures / self.batch_size)
            return False
        self.history.rows.append(row)
        self.last = _Kept(weights, epoch, row.get("val_loss", math.inf))
        if self.last.loss < (self.best.loss if self.best else math.inf):
            self.best = self.last
        for observer in self.observers:
            observer.on_epoch(row)
        return True

    def _steps(self, epoch: int, started: float) -> Mean:
        """The epoch's steps; sets `cut_short_at` where they are not all made."""
        program, order = self.program, shuffled(self.pictures, self.recipe.seed, epoch)
        steps = math.ceil(self.pictures / self.batch_size)
        program.begin_epoch(Epoch(self.dataset.train, order, self.batch_size, (epoch - 1) * steps))
        looked, mean = started, Mean()
        for step in range(1, steps + 1):
            program.train_step(step - 1)
            now, is_last, asked = time.perf_counter(), step == steps, self.interrupted()
            if now - looked < program.rest and not (is_last or asked):
                continue
            looked, mean = now, program.mean()
            if not math.isfinite(mean.loss):
                self.ending, self.cut_short_at = "diverged", step
                break
            speed = mean.pictures / (time.perf_counter() - started)
            report = Step(epoch, self.recipe.epochs, step, steps, mean.loss, mean.accuracy, speed)
            for observer in self.observers:
                observer.on_step(report)
            if (asked or self.interrupted()) and not is_last:
                self.cut_short_at = step
                break
        return mean


def shuffled(rows: int, seed: int, epoch: int) -> Int64[np.ndarray, " rows"]:
    """An epoch's order of the rows, drawn from (seed, epoch) alone, so any epoch can be drawn first."""
    return np.random.Generator(np.random.Philox(seed_for(seed, "order", epoch))).permutation(rows)
