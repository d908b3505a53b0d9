"""What pages say and show of a run's data: counts of all images, and a few of them."""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from eyespot.data.dataset import Dataset, Split
from eyespot.shapes import Int64

MISTAKES = 24  # most confident ones that a report shows
STRIP = 8  # training images of a class
MOST_STRIPS = 60  # classes of which training images are shown


@dataclass(frozen=True, eq=False)
class ShownData:
    """The data of a run, as far as pages need it.

    Attributes:
        name: of the dataset.
        input_shape: (height, width, channels) of every image.
        counts: images of each class, by split.
        train: training images to show, a few of each class.
        judged: images of the split that the model is judged by, to show; None where there is no such split.
        rows: the row of each of these in its split, `[shown]`.
        is_complete: whether no page would show more images if the dataset were at hand.
    """

    name: str
    input_shape: tuple[int, ...]
    counts: dict[str, list[int]]
    train: Split
    judged: Split | None
    rows: Int64[np.ndarray, " shown"]
    is_complete: bool = True

    @property
    def totals(self) -> dict[str, int]:
        """Number of images, by split."""
        return {name: sum(counts) for name, counts in self.counts.items()}


def shown_data(dataset: Dataset, judged: str | None) -> ShownData:
    """The data of a dataset that is at hand: every image of the judged split can be shown."""
    split = dataset.splits.get(judged) if judged else None
    return ShownData(
        dataset.name,
        dataset.input_shape,
        class_counts(dataset),
        dataset.train.take(strip_rows(dataset)),
        split,
        np.arange(0 if split is None else len(split)),
    )


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """Images of each class, by split."""
    return {name: dataset.class_counts(split).tolist() for name, split in dataset.splits.items()}


def strip_rows(dataset: Dataset) -> Int64[np.ndarray, " chosen"]:
    """Rows of the training images to show: some of each class in turns, chosen at random, always the same ones."""
    generator, labels = np.random.default_rng(0), dataset.train.labels
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:STRIP].tolist()
        for label in range(min(dataset.classes, MOST_STRIPS))
    ]
    return np.array([row for turn in zip_longest(*chosen) for row in turn if row is not None], np.int64)
