"""Figures of what a model looks at: attribution maps, feature maps, filters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.ndimage import gaussian_filter

from eyespot.explanation.inside import Filters, LayerOutput
from eyespot.explanation.maps import TITLES, PictureMaps
from eyespot.figures.style import FAINT, INK, TEST, TRAIN, VALIDATION, hide_axes, new_figure, shorten, show_image
from eyespot.shapes import Float32, Int64, Shaped, UInt8

DIVERGING = "RdBu_r"
WIDTH = 11.0
BLURRED = 56  # of a picture's side: what is finer has no part in the outline
MEANINGS = {
    "gradcam": "last feature maps, weighted\nby mean gradient",
    "hirescam": "last feature maps, weighted\nby each place's gradient",
    "occlusion": "fall of the logit where\na square covers it",
}
CHANNELS = 8
MOST_LAYERS = 24
MOST_FILTERS = 64
COLUMNS = 8
MAPS_RANK = 3
STRIP = 128  # units in a row


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training picture, its label, and how like the picture the model finds it (cosine, at most 1)."""

    image: UInt8[np.ndarray, "height width channels"]
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class ExplanationPanel:
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


def explanation_figure(drawn: ExplanationPanel) -> Figure:
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


def _draw_picture(part: SubFigure, drawn: ExplanationPanel) -> None:
    given, seen, bars = part.subplots(1, 3, width_ratios=[1, 1, 1.6])
    show_image(given, drawn.given if drawn.given.ndim == 3 else drawn.given[..., None])  # noqa: PLR2004 - with channels
    given.set_title("as given", color=INK, fontsize=9)
    if drawn.box:
        left, top, right, bottom = drawn.box
        place = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=VALIDATION)
        given.add_patch(place)
    show_image(seen, drawn.image)
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


def _draw_maps(part: SubFigure, drawn: ExplanationPanel) -> None:
    found = drawn.found
    columns = max(4, len(found.maps))
    for place, (method, values) in enumerate(found.maps.items(), start=1):
        axes = part.add_subplot(1, columns, place)
        draw_map(axes, values, drawn.image)
        axes.set_title(f"{TITLES[method]}\n{_meaning(method, found)}", color=INK, fontsize=8)
    words = f"Of the logit of {shorten(drawn.label)} ({found.logit:.2f}). Red speaks for it, blue against it."
    part.supxlabel(words, color=INK, fontsize=9)


def draw_map(axes: Axes, found: Float32[np.ndarray, "height width"], image: UInt8[np.ndarray, "h w channels"]) -> None:
    """A map in colours around 0, which is white: red speaks for the class, blue against it; the picture in outline."""
    most = float(np.abs(found).max()) or 1.0
    drawn = axes.imshow(found, cmap=DIVERGING, vmin=-most, vmax=most, interpolation="nearest")
    grey = gaussian_filter(image.mean(axis=-1), max(image.shape) / BLURRED)  # noise has no outline
    if grey.min() < grey.max():
        axes.contour(grey, levels=[(grey.min() + grey.max()) / 2], colors=INK, linewidths=0.6, alpha=0.6)
    hide_axes(axes)
    bar = axes.figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, aspect=25)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    bar.ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.ax.xaxis.offsetText.set_fontsize(7)
    bar.outline.set_edgecolor(FAINT)


def _meaning(method: str, found: PictureMaps) -> str:
    if found.completeness is None or method in MEANINGS:
        return MEANINGS[method]
    told = found.completeness
    sums = f"adds up to {told.difference + told.gap:.2f} of {told.difference:.2f}"
    return f"{sums}\ngap {told.share:.1%}, {told.steps} steps"


def _draw_neighbours(part: SubFigure, neighbours: Sequence[Neighbour], explained: str) -> None:
    for place, neighbour in enumerate(neighbours, start=1):
        axes = part.add_subplot(1, len(neighbours), place)
        show_image(axes, neighbour.image)
        colour = TEST if neighbour.label == explained else VALIDATION
        axes.set_title(f"{shorten(neighbour.label, 14)}\n{neighbour.similarity:.3f}", color=colour, fontsize=8)
    words = "the training pictures nearest to it in the model's features, with cosines (orange: of another class)"
    part.supxlabel(words, color=INK, fontsize=9)


def features_figure(name: str, values: Sequence[LayerOutput]) -> Figure:
    """A row a layer: its most varied channels, black the layer's lowest number and white its highest; units in strips.

    Args:
        name: of the picture.
        values: of its layers, in order; of more than 24, as many spread evenly are drawn.
    """
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_LAYERS)).round().astype(int))
    shown = [values[place] for place in chosen]
    heights = [1.35 if value.value.ndim == MAPS_RANK else 0.75 for value in shown]
    figure = new_figure(1.1 * CHANNELS + 0.4, 0.7 + sum(heights))
    parts = figure.subfigures(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, value in zip(parts, shown, strict=True):
        part.suptitle(_caption(value), color=INK, fontsize=8, x=0.01, ha="left")
        if value.value.ndim == MAPS_RANK:
            _draw_channels(list(part.subplots(1, CHANNELS)), value.value)
        else:
            _draw_units(part.subplots(), value.value.ravel())
    left = f" ({len(shown)} of {len(values)} layers)" if len(shown) < len(values) else ""
    scale = "black the lowest number of a layer, white its highest; the last before the softmax"
    figure.suptitle(f"{shorten(name, 50)}: what each layer makes of it{left}\n{scale}", color=INK, fontsize=10)
    return figure


def _caption(value: LayerOutput) -> str:
    size = "x".join(str(side) for side in value.value.shape)
    told = f"{shorten(value.layer, 30)} ({value.kind}), {size}"
    channels = value.value.shape[-1]
    if value.value.ndim != MAPS_RANK or channels <= CHANNELS:
        return told
    return f"{told}: the {CHANNELS} most varied of {channels} channels"


def _draw_channels(axes: list[Axes], maps: Float32[np.ndarray, "height width channels"]) -> None:
    order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:CHANNELS]
    low, high = float(maps.min()), float(maps.max())
    for panel, channel in zip(axes, order, strict=False):
        panel.imshow(maps[..., channel], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        hide_axes(panel)
        panel.set_xlabel(str(channel), fontsize=7, labelpad=1)
    for panel in axes[len(order) :]:
        panel.set_axis_off()


def _draw_units(axes: Axes, units: Float32[np.ndarray, " units"]) -> None:
    """Units in rows of at most 128; what is left of the last row is blank."""
    columns = min(len(units), STRIP)
    strip = np.full(-(-len(units) // columns) * columns, np.nan, np.float32)
    strip[: len(units)] = units
    axes.imshow(strip.reshape(-1, columns), cmap="gray", aspect="auto", interpolation="nearest")
    hide_axes(axes)


def filters_figure(filters: Filters) -> Figure:
    """The first layer's weights, one picture a filter or unit.

    Of grey pictures: white is 0, red above, blue below. Of colour: grey is 0. All on one scale; of more than 64, those
    with the largest weights.
    """
    kernels = filters.kernels
    chosen = _strongest(kernels)
    lines = -(-len(chosen) // COLUMNS)
    figure = new_figure(0.95 * COLUMNS, 0.7 + 0.95 * lines)
    most = float(np.abs(kernels[chosen]).max()) or 1.0
    for place, row in enumerate(chosen, start=1):
        axes = figure.add_subplot(lines, COLUMNS, place)
        _draw_kernel(axes, kernels[row], most)
    count = f"{len(chosen)} of {len(kernels)}, the strongest" if len(chosen) < len(kernels) else f"{len(kernels)}"
    size = "x".join(str(side) for side in kernels.shape[1:])
    title = f"{shorten(filters.layer, 30)} ({filters.kind}): {count}, {size}; weights from -{most:.2g} to {most:.2g}"
    figure.suptitle(title, color=INK, fontsize=10)
    return figure


def _strongest(kernels: Float32[np.ndarray, "n height width channels"]) -> Int64[np.ndarray, " chosen"]:
    """The rows drawn, in order."""
    strength = np.linalg.norm(kernels.reshape(len(kernels), -1), axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_FILTERS])


def _draw_kernel(axes: Axes, kernel: Float32[np.ndarray, "height width channels"], most: float) -> None:
    if kernel.shape[-1] == MAPS_RANK:
        axes.imshow(np.clip(0.5 + kernel / (2 * most), 0, 1), interpolation="nearest")
    else:
        axes.imshow(kernel[..., 0], cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    hide_axes(axes)
