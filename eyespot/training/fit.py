"""The training loop: epochs and steps in an order that is a function of the seed and the epoch."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from eyespot.data.class_balance import balanced_order
from eyespot.data.dataset import Dataset, Split
from eyespot.engine.steps import Epoch, Mean
from eyespot.errors import CheckpointError
from eyespot.random import seed_for
from eyespot.recipe.schema import TrainingRecipe
from eyespot.shapes import Float32, Int64
from eyespot.training.checkpoint import TrainingPosition, TrainingState, WeightArrays
from eyespot.training.history import EpochFigures, History
from eyespot.training.program import Program
from eyespot.training.validation_loss import Evidence

SAMPLE = 1_000  # training images that are evaluated at the end, or as many as there are validation images
Ending = Literal["completed", "early stopping", "interrupted", "diverged"]


@dataclass(frozen=True)
class StepProgress:
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
    """Receives the steps, on a GPU ten times a second, and every finished epoch."""

    def on_step(self, step: StepProgress) -> None:
        """After a step."""

    def on_epoch(self, row: EpochFigures) -> None:
        """After an epoch and its validation."""


@runtime_checkable
class StateWriter(Protocol):
    """Writes down where a training is."""

    def are_due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether a checkpoint is due after a number of steps in the whole training."""

    def save(self, state: TrainingState) -> None:
        """Writes a state down."""


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        ending: why it stopped.
        kept_epoch: the epoch after which the model had the weights it now has; 0 for the initial ones. After an
            interruption these may be the weights of the step reached, in the epoch after `kept_epoch`.
        steps_done: updates made in the epoch that was cut short (interrupted, diverged), else 0.
        evidence: losses of single images, for the verdict; None without validation data, without a whole epoch, or
            where an earlier version of eyespot began the training.
    """

    history: History
    ending: Ending
    kept_epoch: int
    steps_done: int = 0
    evidence: Evidence | None = field(default=None, repr=False)


def fit(  # noqa: PLR0913, PLR0917 - what is trained, and its observers
    program: Program,
    dataset: Dataset,
    recipe: TrainingRecipe,
    observers: Sequence[Observer] = (),
    interrupted: Callable[[], bool] = lambda: False,
    keeper: StateWriter | None = None,
    start: TrainingState | None = None,
) -> Outcome:
    """Trains until the epochs are done, validation stops improving, the user interrupts, or the loss is no number.

    Args:
        dataset: its train split is learnt, its validation split (if there is one) judged after each epoch.
        interrupted: asked after every step.
        keeper: is given the state when it is due, and at the end.
        start: where an earlier training was, of the same recipe on the same data; None: at the beginning.

    Returns:
        The outcome; the program's model then holds the weights to keep: of the best epoch by validation loss where
        the recipe keeps the best and there is validation data, else the last ones, after a divergence the last good.

    Raises:
        RecipeError: the batch is larger than the training split.
        CheckpointError: `start` is of another model.
    """
    return _Loop(program, dataset, recipe, observers, interrupted, keeper, start).run()


class _Loop:
    """One training under way."""

    def __init__(  # noqa: PLR0913, PLR0917 - as of `fit`
        self,
        program: Program,
        dataset: Dataset,
        recipe: TrainingRecipe,
        observers: Sequence[Observer],
        interrupted: Callable[[], bool],
        keeper: StateWriter | None,
        start: TrainingState | None,
    ) -> None:
        self.program, self.dataset, self.recipe = program, dataset, recipe
        self.observers, self.interrupted, self.keeper = observers, interrupted, keeper
        self.pictures = len(dataset.train)
        self.batch_size = recipe.batch_size_for(self.pictures)
        self.steps_an_epoch = recipe.steps_for(self.pictures)
        self.ending: Ending = "completed"
        self.cut_short_at = 0
        self.mean, self.seconds, self.steps_done = Mean(), 0.0, 0
        self.best: _KeptWeights | None = None
        self.validation_losses: list[Float32[np.ndarray, " images"]] = []
        if start is None:
            self.history = History()
            self.last = _KeptWeights(program.weights())
        else:
            self._continue_from(start)

    def run(self) -> Outcome:
        """Epoch after epoch, until one says how it ends."""
        while self.ending == "completed" and len(self.history) < self.recipe.epochs:
            if self._is_stale():
                self.ending = "early stopping"
            else:
                self._epoch(len(self.history) + 1)
        if self.ending != "diverged":
            self._save()
        best = self.best if self.recipe.keep == "best" else None
        kept = best or self.last
        # After an interruption the weights of the step reached are the last ones; their average has not been judged.
        if best or self.ending != "interrupted" or self.recipe.average:
            self.program.set_weights(kept.weights)
        return Outcome(self.history, self.ending, kept.epoch, self.cut_short_at, self._evidence())

    def _evidence(self) -> Evidence | None:
        """Results on single images, with the weights that are kept and with those after the last epoch."""
        validation = self.dataset.validation
        if validation is None or not self.history.rows or len(self.validation_losses) != len(self.history):
            return None
        splits = sample_of(self.dataset.train, max(SAMPLE, len(validation)), self.recipe.seed), validation
        kept_weights = self.program.weights()
        self.program.set_weights(self.last.weights)
        last_results = [self.program.evaluate(split) for split in splits]
        self.program.set_weights(kept_weights)
        kept_results = [self.program.evaluate(split) for split in splits]
        return Evidence(np.stack(self.validation_losses), *last_results, *kept_results)

    def _is_stale(self) -> bool:
        """Whether validation loss has not fallen for too long."""
        epochs_waited = len(self.history) - self.best.epoch if self.best else 0
        return self.recipe.early_stopping and epochs_waited >= self.recipe.patience

    def _epoch(self, epoch: int) -> None:
        """One epoch and its validation; sets `ending` where no other may follow."""
        started = time.perf_counter() - self.seconds
        self._steps(epoch, started)
        if self.cut_short_at:
            return
        mean, training_seconds, validation = self.mean, time.perf_counter() - started, None
        row: EpochFigures = {"epoch": epoch, "loss": mean.loss, "accuracy": mean.accuracy}
        with self.program.averaged():
            if self.dataset.validation is not None:
                validation = self.program.evaluate(self.dataset.validation)
                row["val_loss"], row["val_accuracy"] = validation.loss, validation.accuracy
            weights = self.program.weights()
        row |= {
            "learning_rate": self.program.learning_rate,
            "seconds": time.perf_counter() - started,
            "images_per_second": self.pictures / training_seconds,
        }
        if not (math.isfinite(row.get("val_loss", 0)) and all(np.isfinite(weight).all() for weight in weights)):
            self.ending, self.cut_short_at = "diverged", self.steps_an_epoch
            return
        self.history.rows.append(row)
        if validation is not None:
            self.validation_losses.append(validation.losses)
        self.last = _KeptWeights(weights, epoch, row.get("val_loss", math.inf))
        if self.last.loss < (self.best.loss if self.best else math.inf):
            self.best = self.last
        self.mean, self.seconds, self.steps_done = Mean(), 0.0, 0
        for observer in self.observers:
            observer.on_epoch(row)
        if self._is_due(epoch_ends=True):
            self._save()
        if self.interrupted():
            self.ending = "interrupted"

    def _steps(self, epoch: int, started: float) -> None:
        """The epoch's steps; sets `cut_short_at` where they are not all made."""
        program, steps = self.program, self.steps_an_epoch
        order = order_of(self.dataset.train, self.recipe, epoch)
        program.begin_epoch(Epoch(self.dataset.train, order, self.batch_size, (epoch - 1) * steps), self.mean)
        last_look = started
        for step in range(self.steps_done + 1, steps + 1):
            program.train_step(step - 1)
            self.steps_done = step
            now, is_last, is_interrupted = time.perf_counter(), step == steps, self.interrupted()
            is_due = not is_last and self._is_due(epoch_ends=False)
            if now - last_look < program.rest and not (is_last or is_interrupted or is_due):
                continue
            last_look, self.mean, self.seconds = now, program.mean(), time.perf_counter() - started
            if not math.isfinite(self.mean.loss):
                self.ending, self.cut_short_at = "diverged", step
                break
            speed = self.mean.pictures / self.seconds
            progress = StepProgress(epoch, self.recipe.epochs, step, steps, self.mean.loss, self.mean.accuracy, speed)
            for observer in self.observers:
                observer.on_step(progress)
            if is_last:
                break
            if is_interrupted or self.interrupted():
                self.ending, self.cut_short_at = "interrupted", step
                break
            if is_due:
                self._save()

    def _is_due(self, *, epoch_ends: bool) -> bool:
        steps = len(self.history) * self.steps_an_epoch + self.steps_done
        return self.keeper is not None and self.keeper.are_due(steps, epoch_ends=epoch_ends)

    def _save(self) -> None:
        if self.keeper:
            self.keeper.save(self._state())

    def _state(self) -> TrainingState:
        """State of the training between two steps."""
        epochs = len(self.history)
        position = TrainingPosition(
            seed=self.recipe.seed,
            epochs_done=epochs,
            steps_done=self.steps_done,
            first_step=epochs * self.steps_an_epoch,
            pictures=self.mean.pictures,
            loss_sum=self.mean.loss_sum,
            right=self.mean.right,
            seconds=self.seconds,
            history=self.history.rows,
            best_epoch=self.best.epoch if self.best else None,
            best_loss=self.best.loss if self.best else None,
        )
        best = self.best.weights if self.best and self.recipe.keep == "best" else None
        weights, optimizer = self.program.weights(), self.program.optimizer_state()
        return TrainingState(position, weights, optimizer, self.last.weights, best, list(self.validation_losses))

    def _continue_from(self, state: TrainingState) -> None:
        """Puts program and loop where they were."""
        position = state.position
        for current, stored in (
            (self.program.weights(), state.weights),
            (self.program.optimizer_state(), state.optimizer),
            (self.program.weights(), state.last),
            (self.program.weights(), state.best or state.last),
        ):
            if [array.shape for array in current] != [array.shape for array in stored]:
                raise CheckpointError("The checkpoint is of another model: its arrays have other shapes.")
        self.program.set_weights(state.weights)
        self.program.set_optimizer_state(state.optimizer)
        self.history, self.validation_losses = state.history, list(state.validation_losses)
        self.mean, self.seconds, self.steps_done = position.mean, position.seconds, position.steps_done
        last_loss = self.history.rows[-1].get("val_loss", math.inf) if self.history.rows else math.inf
        self.last = _KeptWeights(state.last, position.epochs_done, last_loss)
        if position.best_epoch is not None and position.best_loss is not None:
            self.best = _KeptWeights(state.best or state.last, position.best_epoch, position.best_loss)


@dataclass
class _KeptWeights:
    """The weights after some epoch."""

    weights: WeightArrays
    epoch: int = 0
    loss: float = math.inf


def sample_of(split: Split, images: int, seed: int) -> Split:
    """A random sample of a split, without replacement; the whole split where it has no more images."""
    if len(split) <= images:
        return split
    generator = np.random.Generator(np.random.Philox(seed_for(seed, "train sample")))
    return split.take(np.sort(generator.choice(len(split), images, replace=False)))


def order_of(split: Split, recipe: TrainingRecipe, epoch: int) -> Int64[np.ndarray, " rows"]:
    """Order in which an epoch, from 1, learns the rows of the training split."""
    if recipe.resample == "balanced":
        return balanced_order(split.labels, recipe.seed, epoch)
    return shuffled(len(split), recipe.seed, epoch)


def shuffled(rows: int, seed: int, epoch: int) -> Int64[np.ndarray, " rows"]:
    """An epoch's order of the rows, drawn from (seed, epoch) alone, so any epoch can be drawn first."""
    return np.random.Generator(np.random.Philox(seed_for(seed, "order", epoch))).permutation(rows)
