"""The confusion matrix as a page shows it: each cell with its images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eyespot.data.dataset import Split
from eyespot.data.pixels import data_uri
from eyespot.shapes import Float32, Int64

MOST_CLASSES = 40  # in a table that can still be read; beyond, the most frequent mistakes are listed
LISTED = 100  # mistakes
BUDGET = 2_500_000  # characters that all images together may take
CAPS = (48, 24, 12, 6, 3, 1)  # images a cell
STRONG = 0.35  # the share of a class's images from which a cell is dark


@dataclass(frozen=True)
class Cell:
    """The images of one class that were predicted as one class.

    Attributes:
        key: names the cell on the page.
        label, predict: class names.
        n: number of images.
        share: of all images of the class, in [0, 1].
        pictures: some of them, as (data address, caption): of mistakes the most confident, of correct predictions the
            least confident.
    """

    key: str
    label: str
    predict: str
    n: int
    share: float
    pictures: tuple[tuple[str, str], ...]

    @property
    def is_strong(self) -> bool:
        """Whether the cell is drawn dark."""
        return self.share > STRONG

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the page's script."""
        return {"label": self.label, "predict": self.predict, "n": self.n, "pictures": self.pictures}


def confusion_cells(
    confusion: Int64[np.ndarray, "classes classes"],
    class_names: tuple[str, ...],
    split: Split | None,
    probabilities: Float32[np.ndarray, "n classes"] | None,
) -> dict[tuple[int, int], Cell]:
    """Every cell that holds an image, by (label, prediction); of many classes, the most frequent mistakes alone.

    Args:
        split: images to show, of all or of some rows, and `probabilities` of the same; None: cells are counts alone.
    """
    positions = [(int(row), int(column)) for row, column in zip(*np.nonzero(confusion), strict=True)]
    if len(class_names) > MOST_CLASSES:
        mistakes = [position for position in positions if position[0] != position[1]]
        positions = sorted(mistakes, key=lambda position: -confusion[position])[:LISTED]
    totals = np.maximum(confusion.sum(axis=1), 1)
    pictures = _pictures(positions, split, probabilities) if split is not None and probabilities is not None else {}
    return {
        (row, column): Cell(
            f"{row}-{column}",
            class_names[row],
            class_names[column],
            int(confusion[row, column]),
            float(confusion[row, column] / totals[row]),
            pictures.get((row, column), ()),
        )
        for row, column in positions
    }


def _pictures(
    positions: list[tuple[int, int]], split: Split, probabilities: Float32[np.ndarray, "n classes"]
) -> dict[tuple[int, int], tuple[tuple[str, str], ...]]:
    """The images of each cell, as many as the page has room for."""
    confidence, predictions = probabilities.max(axis=1), probabilities.argmax(axis=1)
    rows = {}
    for label, predict in positions:
        members = np.flatnonzero((split.labels == label) & (predictions == predict))
        order = confidence[members] if label == predict else -confidence[members]
        rows[label, predict] = members[np.argsort(order, kind="stable")][: CAPS[0]]
    uris = {int(row): data_uri(split.images[row]) for members in rows.values() for row in members}
    cap = next((cap for cap in CAPS if _size(rows, uris, cap) <= BUDGET), CAPS[-1])
    return {
        position: tuple(
            (uris[row], f"{picture_name(split, row)}, {confidence[row]:.1%}") for row in members[:cap].tolist()
        )
        for position, members in rows.items()
    }


def _size(rows: dict[tuple[int, int], Int64[np.ndarray, " m"]], uris: dict[int, str], cap: int) -> int:
    return sum(len(uris[row]) for members in rows.values() for row in members[:cap].tolist())


def picture_name(split: Split, row: int) -> str:
    """The file of an image, or its row in the split."""
    return split.files[row] if split.files else f"#{row}"
