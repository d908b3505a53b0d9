"""Labels that are probably wrong, from predictions of models that did not learn from them: confident learning.

Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70 (2021).
"""

from dataclasses import dataclass

import numpy as np

from eyespot.shapes import Float64, Int64, Shaped


@dataclass(frozen=True)
class SuspectLabels:
    """Pictures by how suspect their labels are.

    Attributes:
        rows: all of them, the most suspect first.
        margins: of each in that order, in [-1, 1]: the probability of its label less that of the likeliest other class,
            each less its class's usual confidence.
        suggested: in that order, the likeliest other class.
        estimated: how many labels are estimated to be wrong.
        agreement: the share of the labels that the models predict; where it is low, they cannot judge labels.
    """

    rows: Int64[np.ndarray, " n"]
    margins: Float64[np.ndarray, " n"]
    suggested: Int64[np.ndarray, " n"]
    estimated: int
    agreement: float


def find_suspects(probabilities: Shaped[np.ndarray, "n classes"], labels: Int64[np.ndarray, " n"]) -> SuspectLabels:
    """Ranks labels by how far another class is likelier, and estimates how many are wrong.

    The ranking is by the margin between the given class and the likeliest other one, after each class's probabilities
    are measured against its threshold, the mean confidence of images so labelled (equation 2). The estimate counts
    the confident joint off its diagonal (equation 1): images whose probability of another class reaches that class's
    threshold, where that class is the likeliest of those that do. Where classes overlap it counts too many.

    Args:
        probabilities: of classes, out of fold: by a model that has not learnt from the image.
        labels: given ones, possibly wrong.
    """
    classes = probabilities.shape[1]
    label_probabilities = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=label_probabilities, minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)  # a class without images suggests nothing
    over_threshold = probabilities - np.where(np.isfinite(thresholds), thresholds, 2.0)
    other_classes = over_threshold.copy()
    other_classes[np.arange(len(labels)), labels] = -np.inf
    suggested = other_classes.argmax(axis=1)
    margins = over_threshold[np.arange(len(labels)), labels] - other_classes[np.arange(len(labels)), suggested]
    confident = np.where(over_threshold >= 0, probabilities, -1.0)
    is_confident = confident.max(axis=1) >= 0
    wrong = int((is_confident & (confident.argmax(axis=1) != labels)).sum())
    order = np.argsort(margins, kind="stable")
    agreement = float((probabilities.argmax(axis=1) == labels).mean())
    return SuspectLabels(order, margins[order], suggested[order], wrong, agreement)
