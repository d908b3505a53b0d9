"""Metrics of a step, kept in Keras's own variables without Keras's detours."""

from typing import Any

from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.loss import Weighed

ACCURACIES = (keras.metrics.SparseCategoricalAccuracy, keras.metrics.CategoricalAccuracy)


class Tally:
    """Loss and accuracy of a model that measures nothing else; Keras takes about as long for these as for a small step.

    The sums are those of the model's metrics, so that Keras resets and reads them as ever.
    """

    def __init__(self, model: keras.Model, *, sparse: bool) -> None:
        self.sparse = sparse
        self.loss = _sums(model._loss_tracker)
        self.accuracies = {metric.name: _sums(metric) for metric in _compiled(model)}

    @staticmethod
    def can(model: keras.Model, *, sparse: bool) -> bool:
        """Whether the model's metrics are the loss and accuracies of labels of this kind."""
        kind, compiled = type(model), model._compile_metrics
        own = {id(model._loss_tracker), id(compiled)}
        if any(
            getattr(kind, name) is not getattr(keras.Model, name) for name in ("compute_metrics", "get_metrics_result")
        ):
            return False
        if any(id(metric) not in own for metric in model.metrics):
            return False
        if compiled is None:
            return True
        wanted = ACCURACIES[not sparse]
        usual = all(type(metric) is wanted and metric.dtype == "float32" for metric in compiled.metrics)
        if not (compiled.built and usual) or compiled._user_weighted_metrics:
            return False
        return [metric.name for metric in compiled.metrics] == list(compiled.result())

    def add(self, weighed: Weighed, labels: Tensor) -> dict[str, Any]:
        """Takes in a batch; returns the means so far.

        Args:
            labels: class numbers [n], or distributions [n, classes].
        """
        count = len(labels)
        logs = {"loss": _add(self.loss, weighed.loss * count, count)}
        if self.accuracies:
            right = (weighed.predictions.argmax(1) == (labels if self.sparse else labels.argmax(1))).sum()
            logs |= {name: _add(sums, right, count) for name, sums in self.accuracies.items()}
        return logs


def _compiled(model: keras.Model) -> list[keras.metrics.Metric]:
    return [] if model._compile_metrics is None else model._compile_metrics.metrics


def _sums(metric: keras.metrics.Mean) -> tuple[Tensor, Tensor]:
    return metric.total.value, metric.count.value


def _add(sums: tuple[Tensor, Tensor], more: Tensor, count: int) -> Tensor:
    total, number = sums
    return total.add_(more) / number.add_(count)
