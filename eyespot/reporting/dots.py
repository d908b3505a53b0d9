"""Repeated measurements of several things: a dot each, the mean and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from eyespot.reporting.style import FAINT, INK, TRAIN, VALIDATION, new_figure, plot_area, shorten

NAME_LENGTH = 44


@dataclass(frozen=True)
class Dots:
    """One row: what is drawn of one thing.

    Attributes:
        values: of the repeats, fractions.
        difference: to the first row: mean, lower and upper end; the ends None where there is no interval.
    """

    name: str
    values: Sequence[float]
    interval: tuple[float, float] | None = None
    difference: tuple[float, float | None, float | None] | None = None


def dots_with_intervals(rows: Sequence[Dots], title: str) -> Figure:
    """Validation accuracy on the left, the difference to the first row on the right, both in per cent."""
    figure = new_figure(10.4, 1.6 + 0.36 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for place, row in enumerate(rows):
        colour = INK if place == 0 else TRAIN
        left.plot([100 * value for value in row.values], [place] * len(row.values), "o", color=FAINT, markersize=5)
        if row.values:
            _mean(left, place, sum(row.values) / len(row.values), row.interval, colour)
        if row.difference:
            mean, low, high = row.difference
            _mean(right, place, mean, None if low is None or high is None else (low, high), VALIDATION)
    right.axvline(0, color=INK, linewidth=1)
    plot_area(left, "Validation accuracy: repeats, mean, 95 % interval", "per cent", "")
    plot_area(right, "Difference to the base, paired", "points", "")
    left.set_yticks(range(len(rows)), [shorten(row.name, NAME_LENGTH) for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    right.xaxis.set_major_formatter(FormatStrFormatter("%+g"))
    figure.suptitle(title, color=INK, fontsize=12)
    return figure


def _mean(axes: Axes, place: int, mean: float, interval: tuple[float, float] | None, colour: str) -> None:
    if interval:
        axes.plot([100 * end for end in interval], [place, place], color=colour, linewidth=2)
    axes.plot([100 * mean], [place], "D", color=colour, markersize=6)
