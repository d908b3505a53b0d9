"""Softmax, cross-entropy and accuracy in one: the end of every classifier."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.kernels import Kernels

SMALLEST = 1e-7  # Keras's epsilon: probabilities are clipped to [1e-7, 1 - 1e-7], and clipped ones have no gradient
FUNCTIONS = (keras.losses.sparse_categorical_crossentropy, keras.losses.categorical_crossentropy)
KINDS = (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy)
ALIASES = {loss.__name__: loss for loss in (*FUNCTIONS, *KINDS)}
REDUCTIONS = {"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"}


@dataclass(frozen=True)
class Targets:
    """Targets of a batch, where they are more than one class a row.

    Attributes:
        labels: class numbers, int64 [n].
        others: of mixed images, the second class, int64 [n].
        shares: of `labels`, float32 [n]; `others` have the rest.
        weights: how much each row counts, float32 [n].
    """

    labels: Tensor
    others: Tensor | None = None
    shares: Tensor | None = None
    weights: Tensor | None = None

    def distributions(self, classes: int) -> Tensor:
        """Float32 [n, classes]."""
        class_numbers = torch.arange(classes, device=self.labels.device)
        one_hot = (class_numbers == self.labels[:, None]).float()
        if self.others is None or self.shares is None:
            return one_hot
        return torch.lerp((class_numbers == self.others[:, None]).float(), one_hot, self.shares[:, None])


@dataclass(frozen=True)
class LossOutput:
    """Loss, accuracy and gradient of a batch.

    Attributes:
        loss: the mean cross-entropy, in nats, float32; of weighted rows, their weighted sum over n.
        accuracy: the share whose most probable class is the label, every row counted once.
        gradient: of the loss, with respect to the logits [n, classes].
    """

    loss: Tensor
    accuracy: Tensor
    gradient: Tensor


def cross_entropy(logits: Tensor, labels: Tensor | Targets, kernels: Kernels | None) -> LossOutput:
    """Sparse categorical cross-entropy of softmax(logits), as Keras computes it from probabilities, in float32.

    Of targets: as Keras has it with sample weights, and of mixed ones the categorical one.
    """
    if isinstance(labels, Targets):
        return _of_targets(logits, labels)
    if kernels == "cpu":
        return _by_numba(logits, labels)
    if kernels == "cuda":
        return _by_triton(logits, labels)
    return _of_targets(logits, Targets(labels))


def _of_targets(logits: Tensor, targets: Targets) -> LossOutput:
    is_sparse = targets.others is None
    labels = targets.labels if is_sparse else targets.distributions(logits.shape[1])
    output = CrossEntropy(sparse=is_sparse)(logits, labels, targets.weights)
    correct = output.predictions.argmax(1) == targets.labels
    return LossOutput(output.loss, correct.float().mean(), output.gradient)


@dataclass(frozen=True)
class CompiledLossOutput:
    """Loss, predictions and gradient of a batch, from a compiled loss.

    Attributes:
        loss: the reduced loss, float32.
        predictions: what Keras's model would have given, [n, classes], float32: probabilities, or logits.
        gradient: of the loss, with respect to the logits [n, classes]; None where it was not asked for.
    """

    loss: Tensor
    predictions: Tensor
    gradient: Tensor | None


@dataclass(frozen=True)
class CrossEntropy:
    """Keras's (sparse) categorical cross-entropy, of logits, with its reduction and sample weights.

    Attributes:
        sparse: labels are class numbers [n]; otherwise distributions [n, classes].
        from_logits: Keras computes it from logits, so that nothing is clipped, and predictions are logits.
        smoothing: the share of each label that is spread over all classes; only of distributions.
        reduction: `sum_over_batch_size` or `mean` (the sum divided by n, whatever the weights), `sum`, or
            `mean_with_sample_weight` (divided by the sum of the weights).
    """

    sparse: bool
    from_logits: bool = False
    smoothing: float = 0.0
    reduction: str = "sum_over_batch_size"

    def __call__(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, with_gradient: bool = True
    ) -> CompiledLossOutput:
        """The loss of logits [n, classes], each row counted `weights` [n] times.

        Raises:
            RuntimeError: PyTorch's, where a label is not the number of a class.
        """
        values = logits.float()
        probabilities = torch.softmax(values, 1)
        of_rows = self._sparse if self.sparse else self._dense
        losses, gradient = of_rows(values, probabilities, labels, with_gradient)
        scale = self._scale(len(labels), weights)
        losses = losses * scale
        if gradient is not None:
            gradient = gradient.mul_(scale[:, None] if isinstance(scale, Tensor) else scale).to(logits.dtype)
        return CompiledLossOutput(losses.sum(), values if self.from_logits else probabilities, gradient)

    def _scale(self, count: int, weights: Tensor | None) -> Tensor | float:
        """Factor of each row's loss before the sum."""
        if weights is None:
            return 1.0 if self.reduction == "sum" else 1 / count
        if self.reduction == "sum":
            return weights
        if self.reduction == "mean_with_sample_weight":
            total = weights.sum()
            return torch.where(total == 0, torch.zeros_like(weights), weights / total)
        return weights / count

    def _sparse(
        self, values: Tensor, probabilities: Tensor, labels: Tensor, with_gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Each row's loss [n], and its gradient [n, classes]: p - onehot, but nothing where the clip took over."""
        indices = labels[:, None]
        if self.from_logits:
            losses = -torch.log_softmax(values, 1).gather(1, indices)
        else:
            label_probabilities = probabilities.gather(1, indices)
            clipped = label_probabilities.clamp(SMALLEST, 1 - SMALLEST)
            losses = -clipped.log()
        if not with_gradient:
            return losses[:, 0], None
        gradient = probabilities.scatter_add(1, indices, torch.full_like(losses, -1.0))
        return losses[:, 0], gradient if self.from_logits else gradient.mul_((label_probabilities == clipped).float())

    def _dense(
        self, values: Tensor, probabilities: Tensor, labels: Tensor, with_gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Losses and gradient of distributions; only the terms that are not clipped have a gradient."""
        targets = labels * (1 - self.smoothing) + self.smoothing / labels.shape[1] if self.smoothing else labels
        if self.from_logits:
            losses = -(targets * torch.log_softmax(values, 1)).sum(1)
        else:
            clipped = probabilities.clamp(SMALLEST, 1 - SMALLEST)
            losses = -(targets * clipped.log()).sum(1)
            targets = targets * (probabilities == clipped)
        gradient = probabilities * targets.sum(1, keepdim=True) - targets if with_gradient else None
        return losses, gradient


def _by_numba(logits: Tensor, labels: Tensor) -> LossOutput:
    from eyespot.engine.kernels.cpu import cross_entropy as kernel
    from eyespot.engine.kernels.cpu.numba_support import bits, f32

    gradient = torch.empty_like(logits)
    loss, accuracy = kernel.cross_entropy(bits(logits), labels.numpy(), f32(SMALLEST), bits(gradient))
    return LossOutput(torch.tensor(loss), torch.tensor(accuracy), gradient)


def _by_triton(logits: Tensor, labels: Tensor) -> LossOutput:
    from triton import cdiv, next_power_of_2

    from eyespot.engine.kernels.cuda import cross_entropy as kernel

    count, classes = logits.shape
    gradient = torch.empty_like(logits)
    programs, columns = cdiv(count, kernel.ROWS), next_power_of_2(classes)
    sums = torch.empty((programs, 2), device=logits.device)
    kernel.cross_entropy[programs,](
        logits.contiguous(), labels, gradient, sums, count, classes, SMALLEST, 1 / count,
        ROWS=kernel.ROWS, COLUMNS=columns,
    )  # fmt: skip
    loss, accuracy = sums.sum(0) / count
    return LossOutput(loss, accuracy, gradient)


def fused_loss(loss: Any, *, of_probabilities: bool) -> CrossEntropy | None:
    """The function that computes a compiled loss straight from logits; None where Keras's own object has to.

    Args:
        loss: as `compile` takes it: a name, a function, or one of Keras's loss objects.
        of_probabilities: the model ends in softmax; otherwise it gives the logits themselves.
    """
    resolved = ALIASES.get(loss, loss) if isinstance(loss, str) else loss
    if isinstance(resolved, type):
        resolved = resolved()
    if any(resolved is function for function in FUNCTIONS):
        fused = CrossEntropy(sparse=resolved is FUNCTIONS[0])
    elif type(resolved) in KINDS and _is_plain(resolved):
        settings = resolved.get_config()
        fused = CrossEntropy(
            sparse=type(resolved) is KINDS[0],
            from_logits=bool(settings["from_logits"]),
            smoothing=float(settings.get("label_smoothing", 0)),
            reduction=resolved.reduction,
        )
    else:
        return None
    return fused if fused.from_logits != of_probabilities and keras.config.epsilon() == SMALLEST else None


def _is_plain(loss: keras.losses.Loss) -> bool:
    """Whether every row counts and there is one number in the end."""
    settings = loss.get_config()
    whole = settings.get("ignore_class") is None and settings.get("axis", -1) in (-1, 1)
    return whole and loss.dtype == "float32" and loss.reduction in REDUCTIONS
