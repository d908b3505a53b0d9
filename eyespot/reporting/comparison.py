"""Learning curves of several trainings on one plot."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from eyespot.reporting.style import INK, TEST, TRAIN, VALIDATION, new_figure, plot_area
from eyespot.training.history import History

COLOURS = (TRAIN, VALIDATION, TEST, "#8a5fa8", "#b0893c")


def curves_side_by_side(trainings: Mapping[str, tuple[History, str]], title: str) -> Figure:
    """Loss and accuracy by epoch; a colour a training, validation drawn through, training dashed.

    Args:
        trainings: by name, the history and the verdict in words.
    """
    figure = new_figure(10.4, 4.4)
    for place, metric in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, place)
        for colour, (name, (history, fit)) in zip(COLOURS, trainings.items(), strict=False):
            epochs = history.column("epoch")
            axes.plot(epochs, history.column(metric), color=colour, linestyle="--", linewidth=1, alpha=0.8)
            axes.plot(epochs, history.column(f"val_{metric}"), color=colour, linewidth=2, label=f"{name}: {fit}")
        plot_area(axes, f"{metric.capitalize()}: validation, and training (dashed)", "epoch", metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if metric == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False, fontsize=9)
    figure.suptitle(title, color=INK, fontsize=12)
    return figure
