"""The loss at rising learning rates, with the suggestion drawn in."""

from matplotlib.figure import Figure

from eyespot.reporting.style import INK, TRAIN, VALIDATION, new_figure, plot_area
from eyespot.training.lr_finder import Curve


def learning_rate_curve(curve: Curve, suggested: float, name: str) -> Figure:
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
