"""Classes of unequal size: how unequal, weights for the loss, or an epoch's order with equal shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from eyespot.data.dataset import Dataset
from eyespot.random import seed_for
from eyespot.shapes import Float32, Float64, Int64

MOST_TOLD = 20  # weights that are written out one by one
WORTH_SAYING = 1.5  # times as many images in the largest class as in the smallest


def describe_balance(dataset: Dataset) -> dict[str, Any]:
    """Return counts by split, classes that a split lacks, and the imbalance of the training images, as plain values.

    `class_weights` are scikit-learn's balanced ones, images / (classes x count); `resampled` is how often an image
    of each class would come in an epoch of as many images, drawn in equal shares.
    """
    counts = {name: dataset.class_counts(split) for name, split in dataset.splits.items()}
    train = counts["train"]
    present = np.flatnonzero(train)
    weights = _exact_weights(dataset.train.labels, dataset.classes)
    names = dataset.class_names
    share = len(dataset.train) / len(present)
    return {
        "missing": {
            name: [names[k] for k in np.flatnonzero(split_counts == 0)]
            for name, split_counts in counts.items()
            if (split_counts == 0).any()
        },
        "imbalance": float(train[present].max() / train[present].min()),
        "class_weights": {names[k]: round(float(weights[k]), 4) for k in present},
        "resampled": {names[k]: round(float(share / train[k]), 4) for k in present},
    }


def _exact_weights(labels: Int64[np.ndarray, " n"], classes: int) -> Float64[np.ndarray, " classes"]:
    weights, present = np.zeros(classes), np.unique(labels)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    return weights


def balanced_weights(labels: Int64[np.ndarray, " n"], classes: int) -> Float32[np.ndarray, " classes"]:
    """scikit-learn's balanced weights, n / (classes * the class's images), over the classes that have images.

    A class without any has the weight 0, which no row is given.
    """
    return _exact_weights(labels, classes).astype(np.float32)


def class_weights_text(weights: Float32[np.ndarray, " classes"], class_names: Sequence[str]) -> str:
    """Return the class weights as text; where there are many, the smallest and the largest."""
    named = [(float(weight), name) for weight, name in zip(weights, class_names, strict=True) if weight]
    if len(named) > MOST_TOLD:
        (low, lightest), (high, heaviest) = min(named), max(named)
        text = f"from {low:.3g} for {lightest} to {high:.3g} for {heaviest}"
    else:
        text = ", ".join(f"{name} {weight:.3g}" for weight, name in named)
    missing = [name for weight, name in zip(weights, class_names, strict=True) if not weight]
    return text + (f"; none for {', '.join(missing)}, without training images" if missing else "")


def balanced_order(labels: Int64[np.ndarray, " n"], seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    """Return the rows of an epoch of the same length with equal shares of the classes, drawn from (seed, epoch) alone.

    Of a class with too many images a random part is taken; all of one with too few, again and again, so that no
    image comes twice more than another of its class.
    """
    generator = np.random.Generator(np.random.Philox(seed_for(seed, "order", epoch)))
    classes = np.unique(labels)
    shares = [len(share) for share in np.array_split(np.arange(len(labels)), len(classes))]
    members = [generator.permutation(np.flatnonzero(labels == label)) for label in classes]
    rows = [np.resize(candidates, share) for candidates, share in zip(members, shares, strict=True)]
    return generator.permutation(np.concatenate(rows))
