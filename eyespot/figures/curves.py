"""Curves: learning curves with the verdict, several trainings side by side, the learning rate, repeats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from eyespot.figures.style import (
    FAINT,
    INK,
    TEST,
    TRAIN,
    VALIDATION,
    epochs_area,
    legend_below,
    new_figure,
    plot_area,
    shorten,
    svg,
)
from eyespot.training.history import History
from eyespot.training.lr_finder import RateCurve
from eyespot.training.verdict import Verdict

CURVES = {"loss": "Loss", "accuracy": "Accuracy"}
COLOURS = (TRAIN, VALIDATION, TEST, "#8a5fa8", "#b0893c")
STOPPED_LATER = ("overfitting", "good fit")  # verdicts whose advice may be to stop earlier
LONGEST_NAME = 40  # letters in a legend
HistoriesByName = Mapping[str, tuple[History, str]]  # by name, the history and the verdict in words
NAME_LENGTH = 44


def learning_curves(history: History, verdict: Verdict, name: str) -> Figure:
    """Loss and accuracy by epoch, training and validation, with the verdict.

    Circles are training images measured as in prediction, lines the epoch that is kept and the one to stop at.
    """
    figure = new_figure(9.6, 4.0)
    for position, metric in enumerate(CURVES, start=1):
        _draw(figure.add_subplot(1, 2, position), history, verdict, metric)
    figure.suptitle(f"{name}: {verdict.headline.rstrip('.')}", color=INK, fontsize=12)
    legend_below(figure, columns=6)
    return figure


def _draw(axes: Axes, history: History, verdict: Verdict, metric: str) -> None:
    epochs = history.column("epoch")
    axes.plot(epochs, history.column(metric), color=TRAIN, marker="o", markersize=3, label="training")
    validation = history.column(f"val_{metric}")
    if validation:
        axes.plot(epochs, validation, color=VALIDATION, marker="o", markersize=3, label="validation")
        _draw_training_as_in_prediction(axes, validation, verdict, metric)
    if verdict.kept_epoch and validation:
        axes.axvline(verdict.kept_epoch, color=INK, linewidth=0.8, label=f"epoch kept: {verdict.kept_epoch}")
    if verdict.stop_epoch and verdict.stop_epoch != verdict.kept_epoch and verdict.fit in STOPPED_LATER:
        label = f"epoch to stop at: {verdict.stop_epoch}"
        axes.axvline(verdict.stop_epoch, color=INK, linewidth=0.8, linestyle=":", label=label)
    if verdict.from_epoch and len(epochs) > 1:
        axes.axvspan(verdict.from_epoch, epochs[-1], color=VALIDATION, alpha=0.08, label="overfitting")
    epochs_area(axes, CURVES[metric], metric)


def _draw_training_as_in_prediction(axes: Axes, validation: list[float], verdict: Verdict, metric: str) -> None:
    """Training images without dropout and augmentation, at the epoch that is kept and at the last one."""
    last_gap, kept_gap, above = (
        (verdict.loss_gap, verdict.kept_loss_gap, -1)
        if metric == "loss"
        else (verdict.accuracy_gap, verdict.kept_accuracy_gap, 1)
    )
    if last_gap is None or kept_gap is None or not verdict.kept_epoch:
        return
    epochs = [verdict.kept_epoch, len(validation)]
    values = [validation[epoch - 1] + above * gap for epoch, gap in zip(epochs, (kept_gap, last_gap), strict=True)]
    # At the edge of the plot too, a circle is drawn whole.
    axes.plot(
        epochs, values, color=TRAIN, linestyle="none", marker="o", markersize=7, markerfacecolor="none",
        label="training, as in prediction", clip_on=False,
    )  # fmt: skip


def learning_curve(history: History, verdict: Verdict, metric: str) -> Figure:
    """One of the two alone: `loss` or `accuracy`."""
    figure = new_figure(4.8, 3.9)
    _draw(figure.add_subplot(), history, verdict, metric)
    legend_below(figure, columns=2)
    return figure


def curves_as_svg(draw: Callable[[str], Figure], words: Callable[..., str], mark: str = "") -> list[Markup]:
    """The figure of each metric by `draw`, as SVG for a page.

    Args:
        mark: begins the names inside them, where the page may hold other curves.
    """
    descriptions = {
        "loss": words("Loss by epoch, on training and on validation data."),
        "accuracy": words("Accuracy by epoch, on training and on validation data."),
    }
    return [svg(draw(metric), f"{mark}{metric}", description, words) for metric, description in descriptions.items()]


def curves_side_by_side(trainings: HistoriesByName, title: str) -> Figure:
    """Loss and accuracy by epoch; a colour a training, validation drawn through, training dashed."""
    figure = new_figure(10.4, 4.4)
    for position, metric in enumerate(("loss", "accuracy"), start=1):
        _draw_together(figure.add_subplot(1, 2, position), trainings, metric)
    figure.suptitle(title, color=INK, fontsize=12)
    legend_below(figure, columns=2)
    return figure


def _draw_together(axes: Axes, trainings: HistoriesByName, metric: str) -> None:
    for colour, (name, (history, verdict)) in zip(cycle(COLOURS), trainings.items(), strict=False):
        label, validation = f"{shorten(name, LONGEST_NAME)}: {verdict}", history.column(f"val_{metric}")
        epochs, legend = history.column("epoch"), None if validation else label
        axes.plot(epochs, history.column(metric), color=colour, linestyle="--", linewidth=1, alpha=0.8, label=legend)
        if validation:
            axes.plot(epochs, validation, color=colour, linewidth=2, label=label)
    epochs_area(axes, f"{metric.capitalize()}: validation, and training (dashed)", metric)


def curves_together(trainings: HistoriesByName, metric: str) -> Figure:
    """One of the two alone: `loss` or `accuracy`."""
    figure = new_figure(4.8, 3.6 + 0.2 * len(trainings))
    _draw_together(figure.add_subplot(), trainings, metric)
    legend_below(figure, columns=1)
    return figure


def learning_rate_curve(curve: RateCurve, suggested: float, name: str) -> Figure:
    """Each step's loss, faintly, and the smoothed loss; a line at the suggested learning rate.

    Losses far above the first ones are cut off: where it diverges is seen, not how far.
    """
    figure = new_figure(7.2, 4.4)
    axes = figure.add_subplot()
    axes.plot(curve.rates, curve.losses, color=TRAIN, alpha=0.3, linewidth=0.9, label="loss of a step")
    axes.plot(curve.rates, curve.smoothed, color=TRAIN, linewidth=2, label="smoothed")
    axes.axvline(suggested, color=VALIDATION, linewidth=1.2, linestyle="--", label=f"suggested: {suggested:g}")
    axes.set_xscale("log")
    top, bottom = curve.smoothed[: curve.smoothed.argmin() + 1].max(), curve.smoothed.min()
    axes.set_ylim(max(0.0, bottom - 0.25 * (top - bottom)), top + 0.5 * (top - bottom))
    plot_area(axes, f"{name}: loss while the learning rate rises", "learning rate", "loss")
    axes.title.set_color(INK)
    axes.legend(frameon=False, fontsize=9)
    return figure


@dataclass(frozen=True)
class DotRow:
    """One row: what is drawn of one thing.

    Attributes:
        values: of the repeats, fractions.
        difference: to the first row: mean, lower and upper end; the ends None where there is no interval.
    """

    name: str
    values: Sequence[float]
    interval: tuple[float, float] | None = None
    difference: tuple[float, float | None, float | None] | None = None


def dots_with_intervals(rows: Sequence[DotRow], title: str) -> Figure:
    """Validation accuracy on the left, the difference to the first row on the right, both in per cent."""
    figure = new_figure(10.4, 1.6 + 0.36 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for index, row in enumerate(rows):
        colour = INK if index == 0 else TRAIN
        left.plot([100 * value for value in row.values], [index] * len(row.values), "o", color=FAINT, markersize=5)
        if row.values:
            _mean(left, index, sum(row.values) / len(row.values), row.interval, colour)
        if row.difference:
            mean, low, high = row.difference
            _mean(right, index, mean, None if low is None or high is None else (low, high), VALIDATION)
    right.axvline(0, color=INK, linewidth=1)
    plot_area(left, "Validation accuracy: repeats, mean, 95 % interval", "per cent", "")
    plot_area(right, "Difference to the base, paired", "points", "")
    left.set_yticks(range(len(rows)), [shorten(row.name, NAME_LENGTH) for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    right.xaxis.set_major_formatter(FormatStrFormatter("%+g"))
    figure.suptitle(title, color=INK, fontsize=12)
    return figure


def _mean(axes: Axes, index: int, mean: float, interval: tuple[float, float] | None, colour: str) -> None:
    if interval:
        axes.plot([100 * end for end in interval], [index, index], color=colour, linewidth=2)
    axes.plot([100 * mean], [index], "D", color=colour, markersize=6)
