"""What executes the model during training: one step, one evaluation."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy import ndarray

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.engine.program import LoweredProgram
from eyespot.recipe import TrainingRecipe
from eyespot.seeds import seed_for
from eyespot.shapes import Int64

EVALUATION_BATCH = 500


@runtime_checkable
class Program(Protocol):
    """The one seam behind which another engine slips in: `fit` knows nothing else of the model."""

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""

    def train_step(self, split: Split, rows: Int64[ndarray, " batch"], step: int) -> tuple[float, float]:
        """One update on some rows of a split.

        Args:
            step: of the whole training, from 0; what is drawn at random is a function of it and of the seed.

        Returns:
            The batch's mean loss and accuracy, measured before the weights change.
        """

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

    def train_step(self, split: Split, rows: Int64[ndarray, " batch"], step: int) -> tuple[float, float]:
        """One update; the batch's mean loss and accuracy, measured before the weights change."""
        judged = self.lowered.train_step(split.images[rows], split.labels[rows], step)
        return float(judged.loss), float(judged.accuracy)

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""
        mean = Mean()
        for start in range(0, len(split), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            judged = self.lowered.evaluate(split.images[rows], split.labels[rows])
            mean.add((float(judged.loss), float(judged.accuracy)), len(split.labels[rows]))
        return mean.loss, mean.accuracy


class KerasProgram(_OfKerasModel):
    """Runs a model's steps through Keras's own `train_on_batch` and `test_on_batch`."""

    def __init__(self, model: keras.Model, recipe: TrainingRecipe) -> None:
        super().__init__(model, recipe)
        self.generators = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]

    def train_step(self, split: Split, rows: Int64[ndarray, " batch"], step: int) -> tuple[float, float]:
        """One update; the batch's mean loss and accuracy, measured before the weights change."""
        # On PyTorch, Keras draws dropout from PyTorch's global generator, and the rest from a generator a layer.
        torch.manual_seed(seed_for(self.seed, "dropout", step))
        for index, generator in enumerate(self.generators):
            generator.assign(np.array([seed_for(self.seed, "dropout", step, index) >> 1, 0], np.int32))
        return _figures(self.model.train_on_batch(split.images[rows], split.labels[rows], return_dict=True))

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""
        mean = Mean()
        for start in range(0, len(split), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            images, labels = split.images[rows], split.labels[rows]
            mean.add(_figures(self.model.test_on_batch(images, labels, return_dict=True)), len(labels))
        return mean.loss, mean.accuracy


class Mean:
    """Mean loss and accuracy over batches of different sizes."""

    def __init__(self) -> None:
        self.pictures = 0
        self._loss = self._accuracy = 0.0

    def add(self, figures: tuple[float, float], pictures: int) -> None:
        """Takes in a batch's means."""
        self.pictures += pictures
        self._loss += figures[0] * pictures
        self._accuracy += figures[1] * pictures

    @property
    def loss(self) -> float:
        """NaN before the first batch."""
        return self._loss / self.pictures if self.pictures else float("nan")

    @property
    def accuracy(self) -> float:
        """A fraction; NaN before the first batch."""
        return self._accuracy / self.pictures if self.pictures else float("nan")


def _figures(logs: dict[str, Any]) -> tuple[float, float]:
    return float(logs["loss"]), float(logs["accuracy"])
