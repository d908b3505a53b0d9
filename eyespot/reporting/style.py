"""How all figures look, and how they are saved."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from eyespot.files import replacing
from eyespot.shapes import UInt8

TRAIN, VALIDATION, TEST = "#3b6ea8", "#e07b39", "#5a9e6f"
INK, FAINT = "#22272e", "#c8cdd3"
DPI = 110
# Class names may be written in any script: the first of these that is installed fills in what DejaVu lacks.
WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "SimHei",
)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def save(figure: Figure, path: Path, write: Callable[[Path], AbstractContextManager[Path]] = replacing) -> Path:
    """Writes a PNG, whole or not at all, and returns its path.

    Args:
        write: what may be written over, as in `eyespot.files`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    installed = [name for name in WIDE_FONTS if name in font_manager.get_font_names()]
    with write(path) as temporary, rc_context({"font.family": ["DejaVu Sans", *installed]}):
        figure.savefig(temporary, dpi=DPI, format="png")
    return path


def show(axes: Axes, image: UInt8[np.ndarray, "height width channels"]) -> None:
    """Draws a picture with sharp pixels and no frame of numbers."""
    # Matplotlib leaves the colour map and its range aside where there are three channels.
    axes.imshow(
        image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255, interpolation="nearest"
    )
    bare(axes)


def bare(axes: Axes) -> None:
    """No ticks, a faint frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def plot_area(axes: Axes, title: str, x: str, y: str) -> None:
    """Titles, and a light grid behind what is plotted."""
    axes.set_title(title, color=INK, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def epochs_area(axes: Axes, title: str, metric: str) -> None:
    """The area of `loss` or `accuracy` by epoch: whole epochs, percents, a legend where there is room for it."""
    plot_area(axes, title, "epoch", metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9)


def shorten(text: str, length: int = 22) -> str:
    """A name that fits above a small picture."""
    # A dollar sign would start a formula.
    plain = text.replace("$", r"\$")
    return plain if len(plain) <= length else plain[: length - 1] + "…"
