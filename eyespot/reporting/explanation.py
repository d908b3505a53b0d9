"""Figures of what a model looks at in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.ndimage import gaussian_filter

from eyespot.explanation.maps import TITLES, PictureMaps
from eyespot.reporting.style import FAINT, INK, TEST, TRAIN, VALIDATION, bare, new_figure, shorten, show
from eyespot.shapes import Float32, Shaped, UInt8

DIVERGING = "RdBu_r"
WIDTH = 11.0
BLURRED = 56  # of a picture's side: what is finer has no part in the outline
MEANINGS = {
    "gradcam": "last feature maps, weighted\nby mean gradient",
    "hirescam": "last feature maps, weighted\nby each place's gradient",
    "occlusion": "fall of the logit where\na square covers it",
}


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training picture, its label, and how like the picture the model finds it (cosine, at most 1)."""

    image: UInt8[np.ndarray, "height width channels"]
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class PictureDrawn:
    """All that is drawn of one picture.

    Attributes:
        name: of the picture.
        given: as it was given, in grey or colour.
        box: where on it the object was found, (left, top, right, bottom); None: it is the whole.
        image: as the model sees it.
        label: the class that is explained.
        top: the most probable classes, best first.
        found: its maps.
        neighbours: the training pictures nearest to it; None where they were not looked for.
    """

    name: str
    given: Shaped[np.ndarray, "..."]
    box: tuple[int, int, int, int] | None
    image: UInt8[np.ndarray, "height width channels"]
    label: str
    top: Sequence[tuple[str, float]]
    found: PictureMaps
    neighbours: Sequence[Neighbour] | None


def explanation_figure(drawn: PictureDrawn) -> Figure:
    """The picture, what the model says of it, the maps beside each other, and the nearest training pictures."""
    heights = [2.5, 3.1 if drawn.found.maps else 0.0, 1.9 if drawn.neighbours else 0.0]
    heights = [height for height in heights if height]
    figure = new_figure(WIDTH, 0.5 + sum(heights))
    parts = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    _draw_picture(next(parts), drawn)
    if drawn.found.maps:
        _draw_maps(next(parts), drawn)
    if drawn.neighbours:
        _draw_neighbours(next(parts), drawn.neighbours, drawn.label)
    best, share = drawn.top[0]
    said = f"{shorten(best)} at {share:.2%}"
    figure.suptitle(f"{shorten(drawn.name, 50)}: {said}; why {shorten(drawn.label)}?", color=INK, fontsize=12)
    return figure


def draw_map(axes: Axes, found: Float32[np.ndarray, "height width"], image: UInt8[np.ndarray, "h w channels"]) -> None:
    """A map in colours around 0, which is white: red speaks for the class, blue against it; the picture in outline."""
    most = float(np.abs(found).max()) or 1.0
    drawn = axes.imshow(found, cmap=DIVERGING, vmin=-most, vmax=most, interpolation="nearest")
    grey = gaussian_filter(image.mean(axis=-1), max(image.shape) / BLURRED)  # noise has no outline
    if grey.min() < grey.max():
        axes.contour(grey, levels=[(grey.min() + grey.max()) / 2], colors=INK, linewidths=0.6, alpha=0.6)
    bare(axes)
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, aspect=25)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    bar.ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.ax.xaxis.offsetText.set_fontsize(7)
    bar.outline.set_edgecolor(FAINT)


def _draw_picture(part: SubFigure, drawn: PictureDrawn) -> None:
    given, seen, bars = part.subplots(1, 3, width_ratios=[1, 1, 1.6])
    show(given, drawn.given if drawn.given.ndim == 3 else drawn.given[..., None])  # noqa: PLR2004 - with channels
    given.set_title("as given", color=INK, fontsize=9)
    if drawn.box:
        left, top, right, bottom = drawn.box
        place = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=VALIDATION)
        given.add_patch(place)
    show(seen, drawn.image)
    size = "x".join(str(side) for side in drawn.image.shape)
    seen.set_title(f"as the model sees it, {size}", color=INK, fontsize=9)
    names = [shorten(name, 18) for name, _ in drawn.top]
    colours = [VALIDATION if name == drawn.label else TRAIN for name, _ in drawn.top]
    shares = [share for _, share in drawn.top]
    labelled = bars.barh(range(len(names)), shares, color=colours, height=0.6)
    bars.bar_label(labelled, fmt=lambda share: f"{share:.2%}", padding=3, fontsize=8, color=INK)
    bars.set_yticks(range(len(names)), names, fontsize=9)
    bars.invert_yaxis()
    bars.set_xlim(0, 1.2)
    bars.set_xticks([0, 0.5, 1])
    bars.xaxis.set_major_formatter(PercentFormatter(1.0))
    bars.tick_params(labelsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    bars.set_title("most probable classes (orange: explained)", color=INK, fontsize=9)


def _draw_maps(part: SubFigure, drawn: PictureDrawn) -> None:
    found = drawn.found
    columns = max(4, len(found.maps))
    for place, (method, values) in enumerate(found.maps.items(), start=1):
        axes = part.add_subplot(1, columns, place)
        draw_map(axes, values, drawn.image)
        axes.set_title(f"{TITLES[method]}\n{_meaning(method, found)}", color=INK, fontsize=8)
    words = f"Of the logit of {shorten(drawn.label)} ({found.logit:.2f}). Red speaks for it, blue against it."
    part.supxlabel(words, color=INK, fontsize=9)


def _meaning(method: str, found: PictureMaps) -> str:
    if found.completeness is None or method in MEANINGS:
        return MEANINGS[method]
    told = found.completeness
    sums = f"adds up to {told.difference + told.gap:.2f} of {told.difference:.2f}"
    return f"{sums}\ngap {told.share:.1%}, {told.steps} steps"


def _draw_neighbours(part: SubFigure, neighbours: Sequence[Neighbour], explained: str) -> None:
    for place, neighbour in enumerate(neighbours, start=1):
        axes = part.add_subplot(1, len(neighbours), place)
        show(axes, neighbour.image)
        colour = TEST if neighbour.label == explained else VALIDATION
        axes.set_title(f"{shorten(neighbour.label, 14)}\n{neighbour.similarity:.3f}", color=colour, fontsize=8)
    words = "the training pictures nearest to it in the model's features, with cosines (orange: of another class)"
    part.supxlabel(words, color=INK, fontsize=9)
