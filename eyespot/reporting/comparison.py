"""Learning curves of several trainings on one plot."""

from collections.abc import Mapping
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eyespot.reporting.style import INK, TEST, TRAIN, VALIDATION, epochs_area, new_figure, shorten
from eyespot.training.history import History

COLOURS = (TRAIN, VALIDATION, TEST, "#8a5fa8", "#b0893c")
LONGEST_NAME = 40  # letters in a legend
Trainings = Mapping[str, tuple[History, str]]  # by name, the history and the verdict in words


def curves_side_by_side(trainings: Trainings, title: str) -> Figure:
    """Loss and accuracy by epoch; a colour a training, validation drawn through, training dashed."""
    figure = new_figure(10.4, 4.4)
    for place, metric in enumerate(("loss", "accuracy"), start=1):
        _draw(figure.add_subplot(1, 2, place), trainings, metric)
    figure.suptitle(title, color=INK, fontsize=12)
    return figure


def curves_together(trainings: Trainings, metric: str) -> Figure:
    """One of the two alone: `loss` or `accuracy`."""
    figure = new_figure(4.8, 3.8)
    _draw(figure.add_subplot(), trainings, metric)
    return figure


def _draw(axes: Axes, trainings: Trainings, metric: str) -> None:
    for colour, (name, (history, fit)) in zip(cycle(COLOURS), trainings.items(), strict=False):
        label, validation = f"{shorten(name, LONGEST_NAME)}: {fit}", history.column(f"val_{metric}")
        epochs, told = history.column("epoch"), None if validation else label
        axes.plot(epochs, history.column(metric), color=colour, linestyle="--", linewidth=1, alpha=0.8, label=told)
        if validation:
            axes.plot(epochs, validation, color=colour, linewidth=2, label=label)
    epochs_area(axes, f"{metric.capitalize()}: validation, and training (dashed)", metric)
