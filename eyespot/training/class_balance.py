"""Classes of unequal size: weights for the loss, or an epoch's order with equal shares."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from eyespot.random import seed_for
from eyespot.shapes import Float32, Int64

MOST_TOLD = 20  # weights that are written out one by one


def balanced_weights(labels: Int64[np.ndarray, " n"], classes: int) -> Float32[np.ndarray, " classes"]:
    """scikit-learn's balanced weights, n / (classes * the class's pictures), over the classes that have pictures.

    A class without any has the weight 0, which no row is given.
    """
    weights = np.zeros(classes, np.float32)
    there = np.unique(labels)
    weights[there] = compute_class_weight("balanced", classes=there, y=labels)
    return weights


def class_weights_text(weights: Float32[np.ndarray, " classes"], class_names: Sequence[str]) -> str:
    """The weights in words; of many, the smallest and the largest."""
    named = [(float(weight), name) for weight, name in zip(weights, class_names, strict=True) if weight]
    if len(named) > MOST_TOLD:
        (low, lightest), (high, heaviest) = min(named), max(named)
        told = f"from {low:.3g} for {lightest} to {high:.3g} for {heaviest}"
    else:
        told = ", ".join(f"{name} {weight:.3g}" for weight, name in named)
    missing = [name for weight, name in zip(weights, class_names, strict=True) if not weight]
    return told + (f"; none for {', '.join(missing)}, without training pictures" if missing else "")


def balanced_order(labels: Int64[np.ndarray, " n"], seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    """An epoch of as many rows with equal shares of the classes there are, drawn from (seed, epoch) alone.

    Of a class with too many pictures a random part is taken; all of one with too few, again and again, so that no
    picture comes twice more than another of its class.
    """
    generator = np.random.Generator(np.random.Philox(seed_for(seed, "order", epoch)))
    there = np.unique(labels)
    shares = [len(share) for share in np.array_split(np.arange(len(labels)), len(there))]
    members = [generator.permutation(np.flatnonzero(labels == label)) for label in there]
    rows = [np.resize(ours, share) for ours, share in zip(members, shares, strict=True)]
    return generator.permutation(np.concatenate(rows))
