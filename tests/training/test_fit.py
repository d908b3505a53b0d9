from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, Split
from eyespot.engine.steps import Epoch, Mean
from eyespot.errors import RecipeError
from eyespot.models.architectures import build
from eyespot.recipe.schema import TrainingRecipe
from eyespot.training.fit import Outcome, StepProgress, fit, shuffled
from eyespot.training.history import EpochFigures
from eyespot.training.program import KerasProgram
from eyespot.training.validation_loss import ImageResults

NAN = float("nan")


class Scripted:
    """A program that computes nothing: its losses are given, its one weight counts the updates."""

    def __init__(self, validation: list[float], train: Callable[[int], float] = lambda _: 1.0) -> None:
        self.validation = iter(validation)
        self.train = train
        self.updates = 0

    learning_rate, rest = 0.1, 0.0

    def begin_epoch(self, epoch: Epoch, mean: Mean) -> None:
        self.epoch, self.sums = epoch, mean

    def train_step(self, index: int) -> None:
        assert self.epoch.first + index == self.updates  # the steps of all epochs are counted through
        self.updates += 1
        self.sums.add(self.train(self.updates), 0.5, len(self.epoch.rows(index)))

    def mean(self) -> Mean:
        return self.sums

    def evaluate(self, split: Split) -> ImageResults:
        loss = next(self.validation, 0.0)  # none is left for what is evaluated after the last epoch
        return ImageResults(np.full(len(split), loss, np.float32), np.arange(len(split)) % 2 == 0)

    def weights(self) -> list[Any]:
        return [np.array([float(self.updates)])]

    def set_weights(self, weights: list[Any]) -> None:
        self.updates = int(weights[0][0])

    def optimizer_state(self) -> list[Any]:
        return []

    def set_optimizer_state(self, state: list[Any]) -> None:
        assert state == []

    def averaged(self) -> AbstractContextManager[None]:
        return nullcontext()


class Watcher:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.steps: list[StepProgress] = []
        self.rows: list[EpochFigures] = []

    def on_step(self, step: StepProgress) -> None:
        self.steps.append(step)

    def on_epoch(self, row: EpochFigures) -> None:
        self.rows.append(row)


@pytest.fixture
def ten(bars: Dataset) -> Dataset:
    """Ten training images and three for validation: four steps an epoch at batch size 3."""
    return Dataset("ten", bars.class_names, bars.train.take(np.arange(10)), validation=bars.train.take(np.arange(3)))


def settings(**values: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"batch_size": 3, "epochs": 6, "patience": 2, **values})


def test_the_best_epoch_is_kept_and_patience_ends_it(ten: Dataset):
    """Training stops after `patience` epochs without a lower validation loss, with the weights of the lowest."""
    program = Scripted([3, 1, 2, 2, 0, 0])
    outcome = fit(program, ten, settings())
    assert (outcome.ending, outcome.kept_epoch, len(outcome.history)) == ("early stopping", 2, 4)
    assert program.updates == 2 * 4


def test_both_can_be_off(ten: Dataset):
    """Without early stopping all epochs run; keeping the last means the last."""
    program = Scripted([3, 1, 2, 2, 2, 2])
    outcome = fit(program, ten, settings(early_stopping=False, keep="last"))
    assert (outcome.ending, outcome.kept_epoch, program.updates) == ("completed", 6, 24)


def test_without_validation_data_the_last_is_kept(ten: Dataset):
    """Nothing to judge by: all epochs run, and the last weights stay."""
    program = Scripted([])
    outcome = fit(program, Dataset("d", ten.class_names, ten.train), settings())
    assert (outcome.ending, outcome.kept_epoch, program.updates) == ("completed", 6, 24)
    assert "val_loss" not in outcome.history.rows[0]


def test_nan_stops_at_its_step_and_the_last_good_is_kept(ten: Dataset):
    """The step at which the loss stops being a number is named; the model is the best one before it."""
    program = Scripted([3, 1, 1, 1], train=lambda update: NAN if update == 11 else 1.0)
    outcome = fit(program, ten, settings())
    assert (outcome.ending, outcome.steps_done, outcome.kept_epoch) == ("diverged", 3, 2)
    assert program.updates == 8
    assert len(outcome.history) == 2


def test_nan_at_once_keeps_the_initial_weights(ten: Dataset):
    """With no good epoch the model is as it began, and no epoch is claimed."""
    program = Scripted([], train=lambda _: NAN)
    outcome = fit(program, ten, settings())
    assert (outcome.ending, outcome.steps_done, outcome.kept_epoch, program.updates) == ("diverged", 1, 0, 0)


def test_a_validation_loss_that_is_no_number_is_divergence(ten: Dataset):
    """An epoch whose validation loss is NaN does not count."""
    outcome = fit(Scripted([1, NAN]), ten, settings())
    assert (outcome.ending, len(outcome.history), outcome.kept_epoch) == ("diverged", 1, 1)


@pytest.mark.parametrize(
    ("asked_after", "epochs", "kept", "cut", "updates"),
    [(2, 0, 0, 2, 2), (6, 1, 1, 2, 4), (8, 2, 1, 0, 4)],
)
def test_an_interruption_finishes_the_step(  # noqa: PLR0917 - the cases
    ten: Dataset, asked_after: int, epochs: int, kept: int, cut: int, updates: int
):
    """Asked to stop, the loop finishes its step; the best epoch is kept, before the first epoch the step reached."""
    program = Scripted([1, 2, 3, 4])
    outcome = fit(program, ten, settings(), interrupted=lambda: program.updates >= asked_after)
    told = (outcome.ending, len(outcome.history), outcome.kept_epoch, outcome.steps_done, program.updates)
    assert told == ("interrupted", epochs, kept, cut, updates)


def test_interrupted_while_keeping_the_last_keeps_the_step_reached(ten: Dataset):
    """Where the last weights are kept, an interruption keeps those of the step it came in."""
    program = Scripted([1, 2, 3, 4])
    outcome = fit(program, ten, settings(keep="last"), interrupted=lambda: program.updates >= 6)
    assert (outcome.kept_epoch, outcome.steps_done, program.updates) == (1, 2, 6)


def test_observers_hear_every_step_and_epoch(ten: Dataset):
    """Steps count from 1, the last batch is smaller, and an epoch's loss is the mean over pictures, not batches."""
    losses = count(1)
    watcher = Watcher()
    fit(Scripted([1], train=lambda _: float(next(losses))), ten, settings(epochs=1), [watcher])
    assert [(step.step, step.steps) for step in watcher.steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert watcher.rows[0]["loss"] == pytest.approx((3 * 1 + 3 * 2 + 3 * 3 + 1 * 4) / 10)


def test_a_program_that_waits_when_looked_at_is_looked_at_seldom(ten: Dataset):
    """Every step is made and counted, but observers hear of the last alone where a look should wait longer."""
    program, watcher = Scripted([1]), Watcher()
    program.rest = 60.0
    fit(program, ten, settings(epochs=1), [watcher])
    assert [step.step for step in watcher.steps] == [4]
    assert program.updates == 4


def test_a_divergence_between_two_looks_is_found(ten: Dataset):
    """A loss that stopped being a number is seen at the next look, and the last good epoch is kept."""
    program = Scripted([3, 1, 1, 1], train=lambda update: NAN if update == 10 else 1.0)
    program.rest = 60.0
    outcome = fit(program, ten, settings())
    assert (outcome.ending, outcome.steps_done, outcome.kept_epoch) == ("diverged", 4, 2)


def test_every_picture_once_an_epoch_in_another_order():
    """An epoch's order holds every row once; another epoch or seed has another order; the same is the same."""
    first, again, other, later = (shuffled(10, seed, epoch) for seed, epoch in ((0, 1), (0, 1), (1, 1), (0, 2)))
    assert sorted(first.tolist()) == list(range(10))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert first.tolist() != later.tolist()


def test_a_batch_larger_than_the_data_is_told(ten: Dataset):
    """A stated batch size above the number of pictures is refused with both numbers."""
    with pytest.raises(RecipeError, match="batch size 11 is larger than the 10"):
        fit(Scripted([]), ten, settings(batch_size=11))


def trained(bars: Dataset, seed: int) -> tuple[Outcome, list[Any]]:
    recipe = TrainingRecipe(epochs=2, seed=seed)
    program = KerasProgram(build("cnn", bars.input_shape, bars.classes, seed), recipe, 4)
    return fit(program, Dataset("b", bars.class_names, bars.train, validation=bars.test), recipe), program.weights()


def test_the_same_seed_trains_the_same_network(bars: Dataset):
    """Weights, order and dropout are all drawn from the seed: twice the same, bit for bit; another seed, another."""
    (first, weights), (again, same), (_, others) = trained(bars, 5), trained(bars, 5), trained(bars, 6)
    assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))
    assert first.history.column("loss") == again.history.column("loss")
    assert not all(np.array_equal(a, b) for a, b in zip(weights, others, strict=True))


def test_the_loop_is_keras_fit(bars: Dataset):
    """Fed the same batches in the same order, Keras's own `fit` ends with the same weights and the same losses."""
    recipe = TrainingRecipe(epochs=1, batch_size=30, optimizer="sgd", learning_rate=0.1)
    ours = KerasProgram(build("mnist-cnn-small", bars.input_shape, bars.classes), recipe, 4)
    outcome = fit(ours, Dataset("b", bars.class_names, bars.train), recipe)
    theirs = KerasProgram(build("mnist-cnn-small", bars.input_shape, bars.classes), recipe, 4).model
    order = shuffled(len(bars.train), recipe.seed, 1)
    history = theirs.fit(bars.train.images[order], bars.train.labels[order], batch_size=30, shuffle=False, verbose=0)
    for mine, its in zip(ours.weights(), theirs.get_weights(), strict=True):
        assert mine == pytest.approx(its, abs=1e-6)
    assert outcome.history.rows[0]["loss"] == pytest.approx(history.history["loss"][0], abs=1e-5)
    assert ours.evaluate(bars.test or bars.train).means == pytest.approx(
        theirs.evaluate(bars.test.images, bars.test.labels, verbose=0) if bars.test else (), abs=1e-5
    )


def test_a_real_divergence_is_caught(bars: Dataset):
    """An absurd learning rate makes the loss NaN, and the loop says so."""
    recipe = TrainingRecipe(epochs=3, optimizer="sgd", learning_rate=1e30)
    program = KerasProgram(build("mlp", bars.input_shape, bars.classes), recipe, 4)
    assert fit(program, bars, recipe).ending == "diverged"


def noisy_loss(bars: Dataset, step: int, seed: int) -> float:
    """The loss of one step of a network full of noise, its weights always the same."""
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1), layers.Flatten()]
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), *stack, layers.Dropout(0.5), layers.Dense(3, "softmax", kernel_initializer="ones")]
    )
    model.layers[-1].kernel.assign(np.linspace(-1, 1, 192).reshape(64, 3))
    torch.rand(step + 1)
    program = KerasProgram(model, settings(seed=seed), 4)
    program.begin_epoch(Epoch(bars.train, np.arange(32), 32, step), Mean())
    program.train_step(0)
    return program.mean().loss


def test_what_is_drawn_at_random_is_a_function_of_the_step(bars: Dataset):
    """Dropout and noise of a step depend on seed and step alone, not on what else has drawn random numbers."""
    assert noisy_loss(bars, 5, 0) == noisy_loss(bars, 5, 0)
    assert len({noisy_loss(bars, step, seed) for step, seed in ((5, 0), (6, 0), (5, 1), (6, 1))}) == 4
