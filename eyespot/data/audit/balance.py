"""How many pictures each class has, and what weights or resampling would do about it."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from eyespot.data.dataset import Dataset

WORTH_SAYING = 1.5  # times as many pictures in the largest class as in the smallest


def describe_balance(dataset: Dataset) -> dict[str, Any]:
    """Counts by split, classes that a split lacks, and the imbalance of the training pictures, as plain values.

    `class_weights` are scikit-learn's balanced ones, pictures / (classes x count); `resampled` is how often a picture
    of each class would come in an epoch of as many pictures, drawn in equal shares.
    """
    counts = {name: dataset.class_counts(split) for name, split in dataset.splits.items()}
    train = counts["train"]
    present = np.flatnonzero(train)
    weights = compute_class_weight("balanced", classes=present, y=dataset.train.labels)
    names = dataset.class_names
    share = len(dataset.train) / len(present)
    return {
        "missing": {
            name: [names[k] for k in np.flatnonzero(of == 0)] for name, of in counts.items() if (of == 0).any()
        },
        "imbalance": float(train[present].max() / train[present].min()),
        "class_weights": {names[k]: round(float(weight), 4) for k, weight in zip(present, weights, strict=True)},
        "resampled": {names[k]: round(float(share / train[k]), 4) for k in present},
    }
