"""What executes the model during training: one step, one evaluation."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np

from eyespot.backend import keras  # before PyTorch, whose threads it has wait briefly

# isort: split
import torch

from eyespot.data.augment.policy import Changes
from eyespot.data.dataset import Split
from eyespot.engine.loss import SMALLEST, Targets
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.steps import EVALUATION_BATCH, NOTHING, BatchMaker, Epoch, Mean, step_runner_for
from eyespot.random import seed_for
from eyespot.recipe.schema import TrainingRecipe
from eyespot.shapes import Float32, Int64
from eyespot.training.schedule import learning_rate_for
from eyespot.training.validation_loss import ImageResults


@runtime_checkable
class Program(Protocol):
    """The one seam behind which another engine slips in: `fit` knows nothing else of the model."""

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""

    @property
    def rest(self) -> float:
        """Seconds that should pass between two looks at `mean`, which waits for the steps under way."""

    def begin_epoch(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch; what its steps draw at random is a function of their numbers and of the seed.

        Args:
            mean: over the steps of it that have been made before.
        """

    def train_step(self, index: int) -> None:
        """One update, by the epoch's batch of that number, from 0."""

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began, each measured before its update."""

    def evaluate(self, split: Split) -> ImageResults:
        """Loss and answer of each image of a split, without dropout and without updates."""

    def weights(self) -> list[Any]:
        """A copy of every weight."""

    def set_weights(self, weights: list[Any]) -> None:
        """Puts a copy back."""

    def optimizer_state(self) -> list[Any]:
        """A copy of every variable of the optimizer."""

    def set_optimizer_state(self, state: list[Any]) -> None:
        """Puts a copy back."""

    def averaged(self) -> AbstractContextManager[None]:
        """Within it, the model has the averages of its weights, where the optimizer keeps such."""


class _OfKerasModel:
    """Shared methods of the programs on a compiled Keras model."""

    def __init__(self, model: keras.Model, recipe: TrainingRecipe, steps: int, *, one_hot: bool = False) -> None:
        compile_classifier(model, recipe, steps, one_hot=one_hot)
        model.optimizer.build(model.trainable_variables)
        self.model, self.seed = model, recipe.seed

    @property
    def learning_rate(self) -> float:
        """The optimizer's current learning rate."""
        return float(self.model.optimizer.learning_rate)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate from the next step on; only where the recipe has no schedule."""
        self.model.optimizer.learning_rate = rate

    def weights(self) -> list[Any]:
        """A copy of every weight."""
        return [weight.copy() for weight in self.model.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Puts a copy back."""
        self.model.set_weights(weights)

    def optimizer_state(self) -> list[Any]:
        """A copy of every variable of the optimizer."""
        return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in self.model.optimizer.variables]

    def set_optimizer_state(self, state: list[Any]) -> None:
        """Puts a copy back."""
        for variable, value in zip(self.model.optimizer.variables, state, strict=True):
            variable.assign(value)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it, the model has the averages of its weights, where the optimizer keeps such."""
        if not self.model.optimizer.use_ema:
            yield
            return
        current = self.weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            self.set_weights(current)


class EngineProgram(_OfKerasModel):
    """Runs a model's steps through the engine.

    Args:
        changes: of the training images.
        class_weights: how much a row of each class counts in the training loss; None: all the same.

    Raises:
        ModelError: the engine cannot lower the model.
    """

    def __init__(  # noqa: PLR0913 - as of a training
        self,
        model: keras.Model,
        recipe: TrainingRecipe,
        steps: int,
        dtype: torch.dtype,
        *,
        changes: Changes = NOTHING,
        class_weights: Float32[np.ndarray, " classes"] | None = None,
    ) -> None:
        super().__init__(model, recipe, steps)
        self.lowered = LoweredProgram(model, dtype, recipe.seed)
        self._steps = step_runner_for(
            self.lowered, BatchMaker(recipe.seed, changes, class_weights, self.lowered.device)
        )

    @property
    def rest(self) -> float:
        """Seconds that should pass between two looks at `mean`: on a GPU, looking costs time."""
        return self._steps.rest

    def begin_epoch(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch."""
        self._steps.begin(epoch, mean)

    def train_step(self, index: int) -> None:
        """One update."""
        self._steps.run(index)

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began."""
        return self._steps.mean()

    def evaluate(self, split: Split) -> ImageResults:
        """Loss and answer of each image of a split, without dropout and without updates."""
        return image_results(self._log_probabilities(split), split.labels)

    def probabilities(self, split: Split) -> Float32[np.ndarray, "n classes"]:
        """Class probabilities of each image of a split, in inference form."""
        rows: Float32[np.ndarray, "n classes"] = self._log_probabilities(split).exp().numpy()
        return rows

    def _log_probabilities(self, split: Split) -> torch.Tensor:
        """Float32 [n, classes]."""
        return self._steps.logits(split).float().log_softmax(dim=1).cpu()


def compile_classifier(model: keras.Model, recipe: TrainingRecipe, steps: int, *, one_hot: bool = False) -> None:
    """Compiles a model with the recipe's optimizer, without state yet, and a classifier's loss and accuracy.

    Args:
        steps: of an epoch; a schedule is laid out over all epochs.
        one_hot: labels come as distributions over the classes, not as class numbers.
    """
    default = keras.optimizers.get(recipe.optimizer)
    highest = recipe.learning_rate or float(default.learning_rate)
    average = {} if recipe.average is None else {"use_ema": True, "ema_momentum": recipe.average}
    optimizer = type(default)(learning_rate=learning_rate_for(recipe, highest, steps), **average)
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    model.compile(optimizer, loss=loss, metrics=["accuracy"])


def image_results(
    log_probabilities: torch.Tensor, labels: Int64[np.ndarray, " n"], penalty: float = 0.0
) -> ImageResults:
    """Loss and answer of each image, as Keras computes them: it clips probabilities.

    Args:
        log_probabilities: float32 [n, classes], on the processor.
        labels: class numbers.
        penalty: the model's regularisation losses.
    """
    log_likelihoods = log_probabilities.gather(1, torch.tensor(labels)[:, None])[:, 0]
    losses = -log_likelihoods.clamp(math.log(SMALLEST), math.log1p(-SMALLEST))
    return ImageResults(losses.numpy(), log_probabilities.argmax(dim=1).numpy() == labels, penalty)


class KerasProgram(_OfKerasModel):
    """Runs a model's steps through Keras's `train_on_batch` and `test_on_batch`; arguments as of `EngineProgram`."""

    rest = 0.0

    def __init__(
        self,
        model: keras.Model,
        recipe: TrainingRecipe,
        steps: int,
        *,
        changes: Changes = NOTHING,
        class_weights: Float32[np.ndarray, " classes"] | None = None,
    ) -> None:
        super().__init__(model, recipe, steps, one_hot=changes.mixes)
        self.generators = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]
        self.feed = BatchMaker(recipe.seed, changes, class_weights)
        self.classes = model.output_shape[-1]

    def begin_epoch(self, epoch: Epoch, mean: Mean) -> None:
        """Lays out an epoch."""
        self._epoch, self._mean = epoch, mean

    def train_step(self, index: int) -> None:
        """One update."""
        step, rows, split = self._epoch.first + index, self._epoch.rows(index), self._epoch.split
        # On PyTorch, Keras draws dropout from PyTorch's global generator, and the rest from a generator a layer.
        torch.manual_seed(seed_for(self.seed, "dropout", step))
        for number, generator in enumerate(self.generators):
            generator.assign(np.array([seed_for(self.seed, "dropout", step, number) >> 1, 0], np.int32))
        images, labels = (torch.from_numpy(array[rows]) for array in (split.images, split.labels))
        images, targets = self.feed.batch(images, labels, step)
        batch_targets = targets if isinstance(targets, Targets) else Targets(targets)
        weights = None if batch_targets.weights is None else batch_targets.weights.numpy()
        logs = self.model.train_on_batch(images.numpy(), self._as_compiled(batch_targets), weights, return_dict=True)
        self._mean.add(*_figures(logs), len(rows))

    def mean(self) -> Mean:
        """Loss and accuracy over the batches since the epoch began."""
        return self._mean

    def evaluate(self, split: Split) -> ImageResults:
        """Loss and answer of each image of a split, without dropout and without updates."""
        parts, penalties = [], 0.0
        with torch.no_grad():
            for start in range(0, len(split), EVALUATION_BATCH):
                images = split.images[start : start + EVALUATION_BATCH]
                parts.append(self.model(images, training=False))
                penalties += len(images) * float(sum(self.model.losses))
        return image_results(torch.cat(parts).float().log().cpu(), split.labels, penalties / len(split))

    def _as_compiled(self, targets: Targets) -> Any:
        """Class numbers, or distributions where some are of two classes."""
        return (targets.distributions(self.classes) if self.feed.changes.mixes else targets.labels).numpy()


def _figures(logs: dict[str, Any]) -> tuple[float, float]:
    return float(logs["loss"]), float(logs["accuracy"])
