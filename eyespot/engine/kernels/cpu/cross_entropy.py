"""Softmax, cross-entropy, accuracy and their gradient, a row at a time."""

from typing import Any

import numpy as np

from eyespot.engine.kernels.cpu.numba_support import f32, read, serial, write


@serial  # a batch of logits is too small to share out
def cross_entropy(logits: Any, labels: Any, smallest: Any, gradient: Any) -> tuple[float, float]:
    """The mean loss, and the share of the rows whose largest logit is the label's.

    Args:
        logits: [n, classes].
        labels: int64 [n].
        smallest: probabilities are clipped to [smallest, 1 - smallest]; a clipped one has no gradient.
        gradient: [n, classes], written.

    Raises:
        IndexError: a label is not in [0, classes).
    """
    count, classes = logits.shape
    probability = np.empty(classes, np.float32)
    loss, right = 0.0, 0
    for n in range(count):
        if not 0 <= labels[n] < classes:
            raise IndexError("a label is not the number of a class")
        best = 0
        for k in range(classes):
            probability[k] = read(logits[n, k])
            best = k if probability[k] > probability[best] else best
        highest, total = probability[best], f32(0)
        for k in range(classes):
            probability[k] = np.exp(probability[k] - highest)
            total += probability[k]
        of_label = probability[labels[n]] / total
        clipped = min(max(of_label, smallest), f32(1) - smallest)
        counted = f32(1) / f32(count) if clipped == of_label or of_label != of_label else f32(0)
        loss -= np.log(of_label if of_label != of_label else clipped)
        right += best == labels[n]
        for k in range(classes):
            target = f32(1) if k == labels[n] else f32(0)
            gradient[n, k] = write((probability[k] / total - target) * counted, gradient)
    return loss / count, right / count
