"""Figures of what a model gets right and wrong: confusion matrix, galleries, reliability diagram."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from eyespot.data.dataset import Split
from eyespot.evaluation.metrics import Evaluation
from eyespot.figures.style import INK, TEST, TRAIN, VALIDATION, new_figure, plot_area, shorten, show_image
from eyespot.shapes import Float32, Int64

GALLERY = 25
COLUMNS = 5
SHORT_NAME = 2  # letters that fit below a cell without turning
MOST_WRITTEN = 30  # classes whose cells can still hold a number
PAPER_TO_INK = LinearSegmentedColormap.from_list("paper to ink", ["#ffffff", "#9dbcdc", "#1f4e86"])
SIDE = 4.2  # inches


def confusion_matrix(evaluation: Evaluation, class_names: tuple[str, ...], title: str) -> Figure:
    """A heat map: label by row, predict by column, colour by the share of the label's pictures, counts in the cells."""
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
    lines = max(1, -(-len(first_rows) // COLUMNS))
    figure = new_figure(1.75 * COLUMNS, 0.5 + 2.05 * lines)
    for position, row in enumerate(first_rows, start=1):
        axes = figure.add_subplot(lines, COLUMNS, position)
        show_image(axes, split.images[row])
        predicted = int(probabilities[row].argmax())
        label = int(split.labels[row])
        names = [
            f"{key}={shorten(class_names[index], 16)}" for key, index in (("label", label), ("predict", predicted))
        ]
        text = "\n".join([*names, f"{probabilities[row, predicted]:.2%}"])
        axes.set_title(text, color=TEST if predicted == label else VALIDATION, fontsize=8)
    if not len(first_rows):
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "none", ha="center", va="center", color=INK)
    figure.suptitle(title, color=INK, fontsize=11)
    return figure


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
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="as it should be")
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
