"""What executes the model during training: one step, one evaluation.

The one seam behind which another engine slips in: `fit` knows nothing else of the model.
"""

from typing import Any

from jaxtyping import Int64, UInt8
from numpy import ndarray

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.recipe import TrainingRecipe

EVALUATION_BATCH = 500


class KerasProgram:
    """Runs a model's steps through Keras's own `train_on_batch` and `test_on_batch`."""

    def __init__(self, model: keras.Model, recipe: TrainingRecipe) -> None:
        self.model = model
        options = {} if recipe.learning_rate is None else {"learning_rate": recipe.learning_rate}
        optimizer = keras.optimizers.get({"class_name": recipe.optimizer, "config": options})
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""
        return float(self.model.optimizer.learning_rate)

    def train_step(
        self, images: UInt8[ndarray, "batch height width channels"], labels: Int64[ndarray, " batch"]
    ) -> tuple[float, float]:
        """One update; the batch's mean loss and accuracy, measured before the weights change."""
        return _figures(self.model.train_on_batch(images, labels, return_dict=True))

    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over a split, without dropout and without updates."""
        mean = Mean()
        for start in range(0, len(split), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            images, labels = split.images[rows], split.labels[rows]
            mean.add(_figures(self.model.test_on_batch(images, labels, return_dict=True)), len(labels))
        return mean.loss, mean.accuracy

    def weights(self) -> list[Any]:
        """A copy of every weight."""
        return [weight.copy() for weight in self.model.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Puts a copy back."""
        self.model.set_weights(weights)


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
