"""Softmax, cross-entropy and accuracy in one: the end of every classifier."""

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-7  # Keras's epsilon: probabilities are clipped to [1e-7, 1 - 1e-7], and clipped ones have no gradient


@dataclass(frozen=True)
class Judged:
    """What the loss says of a batch.

    Attributes:
        loss: the mean cross-entropy, in nats, float32.
        accuracy: the share whose most probable class is the label.
        gradient: of the loss, with respect to the logits [n, classes].
    """

    loss: Tensor
    accuracy: Tensor
    gradient: Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Judged:
    """Sparse categorical cross-entropy of softmax(logits), as Keras computes it from probabilities, in float32."""
    probabilities = torch.softmax(logits.float(), 1)
    of_label = probabilities.gather(1, labels[:, None])
    clipped = of_label.clamp(SMALLEST, 1 - SMALLEST)
    accuracy = (probabilities.argmax(1) == labels).float().mean()
    # d(-log p)/d(logits) = p - onehot, but nothing where the clip took over
    counted = (of_label == clipped).float().div_(len(labels))
    gradient = probabilities.scatter_add_(1, labels[:, None], torch.full_like(of_label, -1.0)).mul_(counted)
    return Judged(-clipped.log().mean(), accuracy, gradient.to(logits.dtype))
