"""Figures of what a model gets right and wrong: confusion matrix, galleries, reliability diagram."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from eyespot.data.dataset import Split
from eyespot.evaluation.metrics import Evaluation
from eyespot.figures.style import (
    INK,
    TEST,
    TRAIN,
    VALIDATION,
    TitledPicture,
    new_figure,
    picture_grid,
    plot_area,
    shorten,
)
from eyespot.shapes import Float32, Int64

GALLERY = 25
COLUMNS = 5
SHORT_NAME = 2  # letters that fit below a cell without turning
MOST_WRITTEN = 30  # classes whose cells can still hold a number
PAPER_TO_INK = LinearSegmentedColormap.from_list("paper to ink", ["#ffffff", "#9dbcdc", "#1f4e86"])
SIDE = 4.2  # inches


def confusion_matrix(evaluation: Evaluation, class_names: tuple[str, ...], title: str) -> Figure:
    """A heat map: label by row, predict by column, colour by the share of the label's images, counts in the cells."""
    counts = np.array(evaluation.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(class_names)
    inches = 2.0 + (0.55 * classes if classes <= MOST_WRITTEN else 0.14 * classes)
    figure = new_figure(inches + 0.8, inches)
    axes = figure.add_subplot()
    # The square root lets rare mistakes be seen beside the full diagonal.
    axes.imshow(np.sqrt(shares), cmap=PAPER_TO_INK, vmin=0, vmax=1)
    names = [shorten(name, 16) for name in class_names]
    size = 9 if classes <= MOST_WRITTEN else 6
    rotation: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, names)) > SHORT_NAME else {}
    axes.set_xticks(range(classes), names, fontsize=size, **rotation)
    axes.set_yticks(range(classes), names, fontsize=size)
    axes.set_xlabel("predict")
    axes.set_ylabel("label")
    axes.set_title(title, color=INK, fontsize=11)
    if classes <= MOST_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.4 else INK  # noqa: PLR2004 - where the ink gets dark
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    return figure


def gallery(
    split: Split,
    probabilities: Float32[np.ndarray, "n classes"],
    rows: Int64[np.ndarray, " shown"],
    class_names: tuple[str, ...],
    title: str,
) -> Figure:
    """Pictures with their label and what was predicted, how surely."""
    first_rows = rows[:GALLERY]
    pictures = []
    for row in first_rows:
        label, predict = int(split.labels[row]), int(probabilities[row].argmax())
        names = f"label={shorten(class_names[label], 16)}\npredict={shorten(class_names[predict], 16)}"
        colour = TEST if predict == label else VALIDATION
        pictures.append(TitledPicture(split.images[row], f"{names}\n{probabilities[row, predict]:.2%}", colour))
    return picture_grid(pictures or [TitledPicture(None, "none")], COLUMNS, 1.5, title)


def right_rows(
    split: Split, probabilities: Float32[np.ndarray, "n classes"], seed: int = 0
) -> Int64[np.ndarray, " right"]:
    """Rows predicted right, in random order."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) == split.labels)
    return np.random.default_rng(seed).permutation(rows)


def wrong_rows(split: Split, probabilities: Float32[np.ndarray, "n classes"]) -> Int64[np.ndarray, " wrong"]:
    """Rows predicted wrong, the most confident first."""
    predictions = probabilities.argmax(axis=1)
    rows = np.flatnonzero(predictions != split.labels)
    return rows[np.argsort(-probabilities[rows, predictions[rows]], kind="stable")]


def reliability_diagram(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy by confidence, before and after calibration, with the 95 % intervals of the latter.

    Args:
        before, after: bins, as `Calibration.bins` holds them.
    """
    figure = new_figure(SIDE, SIDE)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="perfectly calibrated")
    confidence, accuracy = ([row[name] for row in before] for name in ("confidence", "accuracy"))
    axes.plot(
        confidence, accuracy, color=VALIDATION, marker="s", markersize=3, linewidth=0.8, label="before calibration"
    )
    confidence, accuracy = ([row[name] for row in after] for name in ("confidence", "accuracy"))
    errors = [
        [row["accuracy"] - row["low"] for row in after],
        [row["high"] - row["accuracy"] for row in after],
    ]
    axes.errorbar(
        confidence, accuracy, yerr=errors, color=TRAIN, marker="o", markersize=4, linewidth=1, label="calibrated"
    )
    lowest = min([0.9, *(min(row["low"], row["confidence"]) for row in [*before, *after])])
    axes.set_xlim(lowest, 1.005)
    axes.set_ylim(lowest, 1.005)
    plot_area(axes, "Reliability", "confidence", "accuracy")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
