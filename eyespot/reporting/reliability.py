"""The reliability diagram: how often answers are right that are given with some confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from eyespot.reporting.style import INK, TRAIN, VALIDATION, new_figure, plot_area

SIDE = 4.2  # inches


def reliability_diagram(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy by confidence, before and after calibration, with the 95 % intervals of the latter.

    Args:
        before, after: bins, as `Calibration.bins` holds them.
    """
    figure = new_figure(SIDE, SIDE)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="as it should be")
    sure, right = ([each[name] for each in before] for name in ("confidence", "accuracy"))
    axes.plot(sure, right, color=VALIDATION, marker="s", markersize=3, linewidth=0.8, label="before calibration")
    sure, right = ([each[name] for each in after] for name in ("confidence", "accuracy"))
    beyond = [
        [each["accuracy"] - each["low"] for each in after],
        [each["high"] - each["accuracy"] for each in after],
    ]
    axes.errorbar(sure, right, yerr=beyond, color=TRAIN, marker="o", markersize=4, linewidth=1, label="calibrated")
    lowest = min([0.9, *(min(each["low"], each["confidence"]) for each in [*before, *after])])
    axes.set_xlim(lowest, 1.005)
    axes.set_ylim(lowest, 1.005)
    plot_area(axes, "Reliability", "confidence", "accuracy")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
