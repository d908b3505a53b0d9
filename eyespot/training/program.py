"""What executes the model during training: one step, one evaluation."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.engine.program import LoweredProgram
from eyespot.engine.steps import EVALUATION_BATCH, Epoch, Mean, steps_for
from eyespot.recipe import TrainingRecipe
from eyespot.seeds import seed_for


@runtime_checkable
class Program(Protocol):
    """The one seam behind which another engine slips in: `fit` knows nothing else of the model."""

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""

    @property
    def rest(self) -> float:
        """Seconds that should pass between two looks at `mean`, which waits for the steps under way."""

    def begin_epoch(self, epoch: Epoch) -> None:
        """Lays out an epoch; what its steps draw at random is a function of their numbers and of the seed."""

    def train_step(self, index: int) -> None:
        """One update, by the epoch's batch of that number, from 0."""

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began, each measured before its update."""

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""

    def weights(self) -> list[Any]:
        """A copy of every weight."""

    def set_weights(self, weights: list[Any]) -> None:
        """Puts a copy back."""


def compile_classifier(model: keras.Model, recipe: TrainingRecipe) -> None:
    """Compiles a model with the recipe's optimizer, without state yet, and a classifier's loss and accuracy."""
    options = {} if recipe.learning_rate is None else {"learning_rate": recipe.learning_rate}
    optimizer = keras.optimizers.get({"class_name": recipe.optimizer, "config": options})
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


class _OfKerasModel:
    """What every program on a compiled Keras model shares."""

    def __init__(self, model: keras.Model, recipe: TrainingRecipe) -> None:
        compile_classifier(model, recipe)
        self.model, self.seed = model, recipe.seed

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""
        return float(self.model.optimizer.learning_rate)

    def weights(self) -> list[Any]:
        """A copy of every weight."""
        return [weight.copy() for weight in self.model.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Puts a copy back."""
        self.model.set_weights(weights)


class EngineProgram(_OfKerasModel):
    """Runs a model's steps through the engine.

    Raises:
        ModelError: the engine cannot lower the model.
    """

    def __init__(self, model: keras.Model, recipe: TrainingRecipe, dtype: torch.dtype) -> None:
        super().__init__(model, recipe)
        self.lowered = LoweredProgram(model, dtype, recipe.seed)
        self._steps = steps_for(self.lowered)

    @property
    def rest(self) -> float:
        """On a GPU, looking costs time."""
        return self._steps.rest

    def begin_epoch(self, epoch: Epoch) -> None:
        """Lays out an epoch."""
        self._steps.begin(epoch)

    def train_step(self, index: int) -> None:
        """One update."""
        self._steps.run(index)

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began."""
        return self._steps.mean()

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""
        mean = self._steps.evaluate(split)
        return mean.loss, mean.accuracy


class KerasProgram(_OfKerasModel):
    """Runs a model's steps through Keras's own `train_on_batch` and `test_on_batch`."""

    rest = 0.0

    def __init__(self, model: keras.Model, recipe: TrainingRecipe) -> None:
        super().__init__(model, recipe)
        self.generators = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    def begin_epoch(self, epoch: Epoch) -> None:
        """Lays out an epoch."""
        self._epoch, self._mean = epoch, Mean()

    def train_step(self, index: int) -> None:
        """One update."""
        step, rows, split = self._epoch.first + index, self._epoch.rows(index), self._epoch.split
        # On PyTorch, Keras draws dropout from PyTorch's global generator, and the rest from a generator a layer.
        torch.manual_seed(seed_for(self.seed, "dropout", step))
        for number, generator in enumerate(self.generators):
            generator.assign(np.array([seed_for(self.seed, "dropout", step, number) >> 1, 0], np.int32))
        logs = self.model.train_on_batch(split.images[rows], split.labels[rows], return_dict=True)
        self._mean.add(*_figures(logs), len(rows))

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began."""
        return self._mean

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""
        mean = Mean()
        for start in range(0, len(split), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            images, labels = split.images[rows], split.labels[rows]
            mean.add(*_figures(self.model.test_on_batch(images, labels, return_dict=True)), len(labels))
        return mean.loss, mean.accuracy


def _figures(logs: dict[str, Any]) -> tuple[float, float]:
    return float(logs["loss"]), float(logs["accuracy"])
