"""The style of all figures, and how they are saved: as files, or as SVG that a page can hold.

SVG in a page takes the page's colours, light or dark, and its language.
"""

import html
import io
import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from markupsafe import Markup
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
# What a page's style sheet has names for; black is what Matplotlib takes where nothing else is said.
VARIABLES = {"#000000": "ink", INK: "ink", FAINT: "faint", TRAIN: "train", VALIDATION: "validation", TEST: "test"}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; width and height are in inches."""
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


def show_image(axes: Axes, image: UInt8[np.ndarray, "height width channels"]) -> None:
    """Draws a picture with sharp pixels and no frame of numbers."""
    # Matplotlib leaves the colour map and its range aside where there are three channels.
    axes.imshow(
        image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255, interpolation="nearest"
    )
    hide_axes(axes)


def hide_axes(axes: Axes) -> None:
    """No ticks, a faint frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def epochs_area(axes: Axes, title: str, metric: str) -> None:
    """The area of `loss` or `accuracy` by epoch: whole epochs, percents, a legend where there is room for it."""
    plot_area(axes, title, "epoch", metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=9)


def plot_area(axes: Axes, title: str, x: str, y: str) -> None:
    """Titles, and a light grid behind what is plotted."""
    axes.set_title(title, color=INK, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shorten(text: str, length: int = 22) -> str:
    """A name that fits above a small picture."""
    # A dollar sign would start a formula.
    escaped = text.replace("$", r"\$")
    return escaped if len(escaped) <= length else escaped[: length - 1] + "…"


def svg(figure: Figure, name: str, description: str, translated: Callable[[str], str] = str) -> Markup:
    """One `<svg>` element, whose texts stay texts.

    Args:
        name: unlike that of any other on the page.
        description: what the figure shows, for those who cannot see it.
        translated: what each text becomes.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "eyespot"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # texts are drawn by whoever shows the page
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r">([^<>]+)</text>", lambda found: f">{_translated(found[1], translated)}</text>", text)
    view = re.search(r'viewBox="[^"]+"', text)
    label = html.escape(description)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" {view[0] if view else ""}>'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1))  # noqa: S704 - Matplotlib has escaped its texts


def _translated(text: str, translated: Callable[[str], str]) -> str:
    """A text, or both sides of a colon."""
    return html.escape(": ".join(translated(part) for part in html.unescape(text).split(": ")))
