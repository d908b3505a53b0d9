"""A step as Keras's own `fit` calls it: its batch checked and converted, its metrics updated.

Metrics are kept in Keras's own variables without Keras's detours.
"""

import warnings
from typing import Any

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.loss import CompiledLossOutput
from eyespot.errors import DataError
from eyespot.keras_internals import compiled_metrics, has_weighted_metrics, loss_metric
from eyespot.models.graph import all_layers

SMALL_SCALE = 0.01  # a Rescaling by less than this is made for pixels from 0 to 255
NO_LAYERS = (keras.layers.InputLayer, keras.Model)
ACCURACIES = (keras.metrics.SparseCategoricalAccuracy, keras.metrics.CategoricalAccuracy)


class BatchAdapter:
    """Takes in the batches of one model.

    Args:
        device: where the model lies, and what it takes in is put; a data loader may give tensors of the host.

    Attributes:
        looks: the next images are looked at, to warn of pixels from 0 to 1 where the model scales them itself.
    """

    def __init__(self, model: keras.Model, device: torch.device) -> None:
        self.device = device
        self.name, self.shape = model.name, tuple(model.inputs[0].shape[1:])
        self.output_shape = tuple(model.outputs[0].shape[1:])
        self.looks = self.scales = _scales_pixels(model)

    def images(self, x: Any) -> Tensor | None:
        """The images [n, *shape] of a step's `x`: an array, or a list or dict of one; None of anything else.

        Raises:
            DataError: they have another shape.
        """
        if not isinstance(x, Tensor):
            leaves = keras.tree.flatten(x)
            if len(leaves) != 1 or leaves[0] is None:
                return None
            x = leaves[0]
        x = self._tensor(x)
        if x.shape[1:] != self.shape:
            x = self._reshaped(x)
        if self.looks:
            self._look(x)
        return x

    def class_numbers(self, y: Any) -> Tensor:
        """Labels [n] or [n, 1] as int64 [n].

        Raises:
            DataError: they have another shape.
        """
        labels = self._column(y)
        if labels.dim() != 1:
            raise DataError(
                f"the loss of {self.name} takes class numbers of shape (n,) as labels, not {tuple(labels.shape)}: for "
                "one-hot labels there is categorical_crossentropy."
            )
        return labels.to(torch.int64)

    def distributions(self, y: Any) -> Tensor:
        """One-hot labels [n, classes] as float32.

        Raises:
            DataError: they have another shape.
        """
        labels = self._tensor(y)
        if labels.shape[1:] != self.output_shape:
            raise DataError(
                f"the loss of {self.name} takes one-hot labels of shape {('n', *self.output_shape)}, not "
                f"{tuple(labels.shape)}: for class numbers there is sparse_categorical_crossentropy.".replace("'", "")
            )
        return labels.float()

    def row_weights(self, weight: Any) -> Tensor | None:
        """Sample weights [n] or [n, 1] as float32 [n]; None where they have any other shape, or are not one array."""
        if not hasattr(weight, "shape"):
            return None
        weights = self._column(weight)
        return weights.float() if weights.dim() == 1 else None

    def check_range(self, labels: Tensor) -> None:
        """Raises a DataError where class numbers are none of the model's."""
        low, high, classes = int(labels.min()), int(labels.max()), self.output_shape[-1]
        if low < 0 or high >= classes:
            raise DataError(
                f"labels go from {low} to {high}, but {self.name} has {classes} classes, numbered 0 to {classes - 1}."
            )

    def _column(self, values: Any) -> Tensor:
        """Values [n] or [n, 1] as [n]; any others as they are."""
        column = self._tensor(values)
        return column[:, 0] if column.dim() == 2 and column.shape[1] == 1 else column  # noqa: PLR2004

    def _tensor(self, values: Any) -> Tensor:
        tensor: Tensor = values if isinstance(values, Tensor) else keras.ops.convert_to_tensor(values)
        return tensor.to(self.device)

    def _reshaped(self, x: Tensor) -> Tensor:
        """The images with a last axis of length one added or removed, as Keras does."""
        if (*x.shape[1:], 1) == self.shape:
            return x[..., None]
        if x.shape[1:] == (*self.shape, 1):
            return x[..., 0]
        expected = ", ".join(map(str, ("n", *self.shape)))
        raise DataError(f"{self.name} takes inputs of shape ({expected}), not {tuple(x.shape)}.")

    def _look(self, x: Tensor) -> None:
        self.looks = False
        if x.is_floating_point() and len(x) and 0 < float(x.max()) <= 1 and float(x.min()) >= 0:
            self.scales = False  # once is enough
            warnings.warn(
                f"{self.name} takes pixels from 0 to 255, but these go from 0 to "
                f"{float(x.max()):.3g}: leave them as they are in the images.",
                stacklevel=2,
            )


def _scales_pixels(model: keras.Model) -> bool:
    """Whether pixels from 0 to 1 would be next to nothing: whole numbers come in, or they are divided by 255."""
    first = next((layer for layer in all_layers(model) if not isinstance(layer, NO_LAYERS)), None)
    if model.inputs[0].dtype == "uint8":
        return True
    return (
        isinstance(first, keras.layers.Rescaling) and isinstance(first.scale, float) and 0 < first.scale < SMALL_SCALE
    )


class FastMetrics:
    """Loss and accuracy of a model that measures nothing else; Keras takes about as long for these as for a small step.

    The sums are those of the model's metrics, so that Keras resets and reads them as ever.
    """

    def __init__(self, model: keras.Model, *, sparse: bool) -> None:
        self.sparse = sparse
        self.loss = _sums(loss_metric(model))
        self.accuracies = {metric.name: _sums(metric) for metric in _compiled(model)}

    @staticmethod
    def can(model: keras.Model, *, sparse: bool) -> bool:
        """Whether the model's metrics are the loss and accuracies of labels of this kind."""
        kind, compiled = type(model), compiled_metrics(model)
        own_ids = {id(loss_metric(model)), id(compiled)}
        if any(
            getattr(kind, name) is not getattr(keras.Model, name) for name in ("compute_metrics", "get_metrics_result")
        ):
            return False
        if any(id(metric) not in own_ids for metric in model.metrics):
            return False
        if compiled is None:
            return True
        accuracy_class = ACCURACIES[not sparse]
        are_accuracies = all(
            type(metric) is accuracy_class and metric.dtype == "float32" for metric in compiled.metrics
        )
        if not (compiled.built and are_accuracies) or has_weighted_metrics(model):
            return False
        return [metric.name for metric in compiled.metrics] == list(compiled.result())

    def add(self, weighed: CompiledLossOutput, labels: Tensor) -> dict[str, Any]:
        """Takes in a batch; returns the means so far.

        Args:
            labels: class numbers [n], or distributions [n, classes].
        """
        count = len(labels)
        logs = {"loss": _add(self.loss, weighed.loss * count, count)}
        if self.accuracies:
            correct = (weighed.predictions.argmax(1) == (labels if self.sparse else labels.argmax(1))).sum()
            logs |= {name: _add(sums, correct, count) for name, sums in self.accuracies.items()}
        return logs


def _sums(metric: keras.metrics.Mean) -> tuple[Tensor, Tensor]:
    return metric.total.value, metric.count.value


def _compiled(model: keras.Model) -> list[keras.metrics.Metric]:
    compiled = compiled_metrics(model)
    return [] if compiled is None else compiled.metrics


def _add(sums: tuple[Tensor, Tensor], more: Tensor, count: int) -> Tensor:
    total, number = sums
    return total.add_(more) / number.add_(count)
