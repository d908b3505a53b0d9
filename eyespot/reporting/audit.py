"""Figures of an audit: pairs of the same picture, labels under suspicion, pictures that stand out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from eyespot.data.audit.duplicates import Pair
from eyespot.data.audit.oddities import Oddity
from eyespot.data.dataset import Dataset
from eyespot.evaluation.label_errors import Suspects
from eyespot.reporting.style import INK, new_figure, shorten, show

PAIRS, ODD, SUSPECTS, COLUMNS = 24, 40, 40, 8


def pair_gallery(dataset: Dataset, pairs: Sequence[Pair]) -> Figure:
    """The first pairs, side by side, with their splits, rows and classes."""
    shown = pairs[:PAIRS]
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = new_figure(3.1 * columns, 0.5 + 2.0 * lines)
    leaks = sum(pair.leaks for pair in pairs)
    figure.suptitle(
        f"{dataset.name}: {len(pairs):,} pairs of the same picture, {leaks:,} of them in two splits",
        color=INK,
        fontsize=11,
    )
    for number, pair in enumerate(shown):
        for side, (name, row) in enumerate((pair.first, pair.second)):
            axes = figure.add_subplot(lines, 2 * columns, 2 * number + side + 1)
            split = dataset.splits[name]
            show(axes, split.images[row])
            label = shorten(dataset.class_names[int(split.labels[row])], 14)
            axes.set_title(f"{_place(dataset, name, row)}\n{label}", color=INK, fontsize=8)
            if side == 0:
                axes.set_xlabel(pair.kind, color=INK, fontsize=8)
    return figure


def suspect_gallery(dataset: Dataset, suspects: Suspects) -> Figure:
    """The pictures whose labels are the most suspect: what they are called, and what they look like."""
    titles = [
        f"{_name(dataset, dataset.train.labels[row])}\n→ {_name(dataset, suspects.suggested[rank])}?"
        for rank, row in enumerate(suspects.rows[:SUSPECTS])
    ]
    places = [("train", int(row)) for row in suspects.rows[:SUSPECTS]]
    return _gallery(dataset, places, titles, "the labels that are the most suspect, and what is likelier")


def oddity_gallery(dataset: Dataset, oddities: Sequence[Oddity]) -> Figure:
    """The pictures that stand out the most, each with its reason."""
    shown = oddities[:ODD]
    titles = [f"{_place(dataset, *oddity.place)}\n{shorten(oddity.reason, 20)}" for oddity in shown]
    return _gallery(dataset, [oddity.place for oddity in shown], titles, f"{len(oddities):,} pictures stand out")


def _gallery(dataset: Dataset, places: Sequence[tuple[str, int]], titles: Sequence[str], told: str) -> Figure:
    columns = min(COLUMNS, max(4, len(places)))
    lines = -(-len(places) // columns)
    figure = new_figure(1.45 * columns, 0.5 + 1.75 * lines)
    figure.suptitle(f"{dataset.name}: {told}", color=INK, fontsize=11)
    for number, ((name, row), title) in enumerate(zip(places, titles, strict=True)):
        axes = figure.add_subplot(lines, columns, number + 1)
        show(axes, np.asarray(dataset.splits[name].images[row]))
        axes.set_title(title, color=INK, fontsize=7)
    return figure


def _place(dataset: Dataset, name: str, row: int) -> str:
    """A picture's split and file, or its row where it has none."""
    files = dataset.splits[name].files
    return f"{name}: {shorten(Path(files[row]).name, 14)}" if files else f"{name} {row}"


def _name(dataset: Dataset, label: int | np.integer) -> str:
    return shorten(dataset.class_names[int(label)], 14)
