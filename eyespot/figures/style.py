"""The style of all figures, and how they are saved: as files, or as SVG that a page can hold.

SVG in a page takes the page's colours, light or dark, and its language. Matplotlib writes it, and knows no CSS
variables; its text is changed here, since ElementTree would put prefixes before names, which HTML does not read.
"""

import html
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from eyespot.files import replacing
from eyespot.shapes import Shaped, UInt8

TRAIN, VALIDATION, TEST = "#3b6ea8", "#e07b39", "#5a9e6f"
INK, FAINT = "#22272e", "#c8cdd3"
DPI = 110
LINE = 0.14  # inches that a line of an image's title takes
TITLE_LINE, TITLE_LETTERS = 0.19, 12  # inches that a line of a figure's title takes, and letters in an inch of it
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
    """Draws an image with sharp pixels and no frame of numbers."""
    _draw_pixels(axes, image)
    hide_axes(axes)


@dataclass(frozen=True)
class TitledPicture:
    """An image of a grid.

    Attributes:
        pixels: uint8, [height, width], or with one or three channels behind; None: there is none.
        title: its lines, which stand above it.
        below: a line below it in smaller letters, as the name of its file.
    """

    pixels: Shaped[np.ndarray, "..."] | None
    title: str
    colour: str = INK
    below: str = ""


def picture_grid(pictures: Sequence[TitledPicture], columns: int, side: float, title: str = "") -> Figure:
    """Pictures in rows of `columns`, the longer side of each `side` inches long, under the title of the whole.

    All lie in one Axes: an Axes for each image, with its ticks, would take several times as long.
    """
    gap = side / 12
    above = LINE * max(picture.title.count("\n") + 1 for picture in pictures) + gap
    shapes = np.array([(1, 1) if picture.pixels is None else picture.pixels.shape[:2] for picture in pictures])
    sizes = side * shapes / shapes.max(axis=1, keepdims=True)
    below = LINE + gap / 2 if any(picture.below for picture in pictures) else 0.0
    tallest = sizes[:, 0].max() + below
    rows = -(-len(pictures) // columns)
    width, height = columns * (side + gap) + gap, rows * (tallest + above) + gap
    lines = textwrap.wrap(title, int(width * TITLE_LETTERS))
    heading = 0.35 + TITLE_LINE * (len(lines) - 1) if lines else 0.0
    figure = Figure(figsize=(width, height + heading), facecolor="white")
    figure.suptitle("\n".join(lines), color=INK, fontsize=11, y=1 - 0.08 / (height + heading))
    axes = figure.add_axes((0, 0, 1, height / (height + heading)))
    axes.set_axis_off()
    frames = []
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        centre = gap + side / 2 + (side + gap) * column
        middle = height - (tallest - below) / 2 - above - (tallest + above) * row
        half_height, half_width = sizes[number] / 2
        left, right, bottom, top = centre - half_width, centre + half_width, middle - half_height, middle + half_height
        frames.append([(left, bottom), (right, bottom), (right, top), (left, top)])
        if picture.pixels is not None:
            pixels = picture.pixels if picture.pixels.ndim == 3 else picture.pixels[..., None]  # noqa: PLR2004 - with channels
            _draw_pixels(axes, pixels, extent=(left, right, bottom, top), aspect="auto")
        place: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 8}
        axes.text(centre, top + gap / 3, picture.title, color=picture.colour, **place)
        if picture.below:
            axes.text(centre, bottom - gap / 3, picture.below, color=INK, ha="center", va="top", fontsize=7)
    axes.add_collection(PolyCollection(frames, facecolors="none", edgecolors=FAINT, linewidths=0.8), autolim=False)
    axes.set(xlim=(0, width), ylim=(0, height))
    return figure


def _draw_pixels(axes: Axes, image: UInt8[np.ndarray, "height width channels"], **options: Any) -> None:
    # Matplotlib leaves the colour map and its range aside where there are three channels.
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", **options)


def hide_axes(axes: Axes) -> None:
    """No ticks, a faint frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def epochs_area(axes: Axes, title: str, metric: str) -> None:
    """The area of `loss` or `accuracy` by epoch: whole epochs, percents."""
    plot_area(axes, title, "epoch", metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        axes.set_ylim(bottom=0)


def legend_below(figure: Figure, columns: int) -> None:
    """The legend of a figure's first area, below all of them: it never lies on a curve."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def plot_area(axes: Axes, title: str, x: str, y: str) -> None:
    """Titles, and a light grid behind what is plotted."""
    axes.set_title(title, color=INK, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shorten(text: str, length: int = 22) -> str:
    """A name that fits above a small image."""
    # A dollar sign would start a formula.
    escaped = text.replace("$", r"\$")
    return escaped if len(escaped) <= length else escaped[: length - 1] + "…"


def shorten_path(path: str, length: int) -> str:
    """The end of a path, as much of it as fits below a small image: a file's name rather than its folder's."""
    parts = path.split("/")
    while len("/".join(parts)) > length and len(parts) > 1:
        parts = parts[1:]
    name = "/".join(parts)
    # Of a long name both ends matter: the number, and the ending.
    half = (length - 1) // 2
    fitting = name if len(name) <= length else f"{name[:half]}…{name[-half:]}"
    return fitting.replace("$", r"\$")


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
    return html.escape(translated(": ").join(translated(part) for part in html.unescape(text).split(": ")))
