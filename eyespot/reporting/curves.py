"""The learning curves, with the verdict drawn in."""

from collections.abc import Callable

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eyespot.reporting.style import INK, TRAIN, VALIDATION, epochs_area, new_figure
from eyespot.reporting.svg import svg
from eyespot.training.history import History
from eyespot.training.verdict import Verdict

CURVES = {"loss": "Loss", "accuracy": "Accuracy"}


def learning_curves(history: History, verdict: Verdict, name: str) -> Figure:
    """Loss and accuracy by epoch, training and validation, with the verdict.

    Circles are training images measured as in prediction, lines the epoch that is kept and the one to stop at.
    """
    figure = new_figure(9.6, 4.0)
    for place, metric in enumerate(CURVES, start=1):
        _draw(figure.add_subplot(1, 2, place), history, verdict, metric)
    figure.suptitle(f"{name}: {verdict.headline.rstrip('.')}", color=INK, fontsize=12)
    return figure


def learning_curve(history: History, verdict: Verdict, metric: str) -> Figure:
    """One of the two alone: `loss` or `accuracy`."""
    figure = new_figure(4.8, 3.6)
    _draw(figure.add_subplot(), history, verdict, metric)
    return figure


def curves_as_svg(draw: Callable[[str], Figure], words: Callable[..., str]) -> list[Markup]:
    """What `draw` makes of each metric, for a page."""
    told = {
        "loss": words("Loss by epoch, on training and on validation data."),
        "accuracy": words("Accuracy by epoch, on training and on validation data."),
    }
    return [svg(draw(metric), metric, text, words) for metric, text in told.items()]


def _draw(axes: Axes, history: History, verdict: Verdict, metric: str) -> None:
    epochs = history.column("epoch")
    axes.plot(epochs, history.column(metric), color=TRAIN, marker="o", markersize=3, label="training")
    validation = history.column(f"val_{metric}")
    if validation:
        axes.plot(epochs, validation, color=VALIDATION, marker="o", markersize=3, label="validation")
        _draw_training_as_in_prediction(axes, validation, verdict, metric)
    if verdict.kept_epoch and validation:
        axes.axvline(verdict.kept_epoch, color=INK, linewidth=0.8, label=f"epoch kept: {verdict.kept_epoch}")
    if verdict.stop_epoch and verdict.stop_epoch != verdict.kept_epoch:
        told = f"epoch to stop at: {verdict.stop_epoch}"
        axes.axvline(verdict.stop_epoch, color=INK, linewidth=0.8, linestyle=":", label=told)
    if verdict.from_epoch and len(epochs) > 1:
        axes.axvspan(verdict.from_epoch, epochs[-1], color=VALIDATION, alpha=0.08, label="overfitting")
    epochs_area(axes, CURVES[metric], metric)


def _draw_training_as_in_prediction(axes: Axes, validation: list[float], verdict: Verdict, metric: str) -> None:
    """Training images without dropout and augmentation, at the epoch that is kept and at the last one."""
    last, kept, above = (
        (verdict.loss_gap, verdict.kept_loss_gap, -1)
        if metric == "loss"
        else (verdict.accuracy_gap, verdict.kept_accuracy_gap, 1)
    )
    if last is None or kept is None or not verdict.kept_epoch:
        return
    places = [verdict.kept_epoch, len(validation)]
    values = [validation[place - 1] + above * gap for place, gap in zip(places, (kept, last), strict=True)]
    # At the edge of the plot too, a circle is drawn whole.
    axes.plot(
        places, values, color=TRAIN, linestyle="none", marker="o", markersize=7, markerfacecolor="none",
        label="training, as in prediction", clip_on=False,
    )  # fmt: skip
