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
    """A training image, its label, and how like the picture the model finds it (cosine, at most 1)."""

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
        neighbours: the training images nearest to it; None where they were not looked for.
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
    """The picture, what the model says of it, the maps beside each other, and the nearest training images."""
    heights = [2.5, 3.1 if drawn.found.maps else 0.0, 1.9 if drawn.neighbours else 0.0]
    heights = [height for height in heights if height]
    figure = new_figure(WIDTH, 0.5 + sum(heights))
    subfigures = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    _draw_picture(next(subfigures), drawn)
    if drawn.found.maps:
        _draw_maps(next(subfigures), drawn)
    if drawn.neighbours:
        _draw_neighbours(next(subfigures), drawn.neighbours, drawn.label)
    best, share = drawn.top[0]
    prediction = f"{shorten(best)} at {share:.2%}"
    figure.suptitle(f"{shorten(drawn.name, 50)}: {prediction}; why {shorten(drawn.label)}?", color=INK, fontsize=12)
    return figure


def _draw_picture(subfigure: SubFigure, panel: ExplanationPanel) -> None:
    original, model_input, bars = subfigure.subplots(1, 3, width_ratios=[1, 1, 1.6])
    show_image(original, panel.given if panel.given.ndim == 3 else panel.given[..., None])  # noqa: PLR2004 - with channels
    original.set_title("as given", color=INK, fontsize=9)
    if panel.box:
        left, top, right, bottom = panel.box
        frame = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, color=VALIDATION)
        original.add_patch(frame)
    show_image(model_input, panel.image)
    size = "x".join(str(side) for side in panel.image.shape)
    model_input.set_title(f"as the model sees it, {size}", color=INK, fontsize=9)
    names = [shorten(name, 18) for name, _ in panel.top]
    colours = [VALIDATION if name == panel.label else TRAIN for name, _ in panel.top]
    shares = [share for _, share in panel.top]
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


def _draw_maps(subfigure: SubFigure, panel: ExplanationPanel) -> None:
    picture_maps = panel.found
    columns = max(4, len(picture_maps.maps))
    for position, (method, values) in enumerate(picture_maps.maps.items(), start=1):
        axes = subfigure.add_subplot(1, columns, position)
        draw_map(axes, values, panel.image)
        axes.set_title(f"{TITLES[method]}\n{_meaning(method, picture_maps)}", color=INK, fontsize=8)
    caption = f"Of the logit of {shorten(panel.label)} ({picture_maps.logit:.2f}). Red speaks for it, blue against it."
    subfigure.supxlabel(caption, color=INK, fontsize=9)


def draw_map(axes: Axes, found: Float32[np.ndarray, "height width"], image: UInt8[np.ndarray, "h w channels"]) -> None:
    """A map in colours around 0, which is white: red speaks for the class, blue against it; the picture in outline."""
    limit = float(np.abs(found).max()) or 1.0
    heat_map = axes.imshow(found, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    grey = gaussian_filter(image.mean(axis=-1), max(image.shape) / BLURRED)  # noise has no outline
    if grey.min() < grey.max():
        axes.contour(grey, levels=[(grey.min() + grey.max()) / 2], colors=INK, linewidths=0.6, alpha=0.6)
    hide_axes(axes)
    bar = axes.figure.colorbar(heat_map, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, aspect=25)
    bar.ax.xaxis.set_major_locator(MaxNLocator(4))
    bar.ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.ax.xaxis.offsetText.set_fontsize(7)
    bar.outline.set_edgecolor(FAINT)


def _meaning(method: str, maps: PictureMaps) -> str:
    if maps.completeness is None or method in MEANINGS:
        return MEANINGS[method]
    completeness = maps.completeness
    sums = f"adds up to {completeness.difference + completeness.gap:.2f} of {completeness.difference:.2f}"
    return f"{sums}\ngap {completeness.share:.1%}, {completeness.steps} steps"


def _draw_neighbours(subfigure: SubFigure, neighbours: Sequence[Neighbour], label: str) -> None:
    for position, neighbour in enumerate(neighbours, start=1):
        axes = subfigure.add_subplot(1, len(neighbours), position)
        show_image(axes, neighbour.image)
        colour = TEST if neighbour.label == label else VALIDATION
        axes.set_title(f"{shorten(neighbour.label, 14)}\n{neighbour.similarity:.3f}", color=colour, fontsize=8)
    caption = "the training images nearest to it in the model's features, with cosines (orange: of another class)"
    subfigure.supxlabel(caption, color=INK, fontsize=9)


def features_figure(name: str, values: Sequence[LayerOutput]) -> Figure:
    """A row a layer: its most varied channels, black the layer's lowest number and white its highest; units in strips.

    Args:
        name: of the picture.
        values: of its layers, in order; of more than 24, as many spread evenly are drawn.
    """
    indices = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST_LAYERS)).round().astype(int))
    outputs = [values[index] for index in indices]
    heights = [1.35 if value.value.ndim == MAPS_RANK else 0.75 for value in outputs]
    figure = new_figure(1.1 * CHANNELS + 0.4, 0.7 + sum(heights))
    subfigures = figure.subfigures(len(outputs), 1, height_ratios=heights, squeeze=False)[:, 0]
    for subfigure, value in zip(subfigures, outputs, strict=True):
        subfigure.suptitle(_caption(value), color=INK, fontsize=8, x=0.01, ha="left")
        if value.value.ndim == MAPS_RANK:
            _draw_channels(list(subfigure.subplots(1, CHANNELS)), value.value)
        else:
            _draw_units(subfigure.subplots(), value.value.ravel())
    count = f" ({len(outputs)} of {len(values)} layers)" if len(outputs) < len(values) else ""
    scale = "black the lowest number of a layer, white its highest; the last before the softmax"
    figure.suptitle(f"{shorten(name, 50)}: what each layer makes of it{count}\n{scale}", color=INK, fontsize=10)
    return figure


def _caption(value: LayerOutput) -> str:
    size = "x".join(str(side) for side in value.value.shape)
    description = f"{shorten(value.layer, 30)} ({value.kind}), {size}"
    channels = value.value.shape[-1]
    if value.value.ndim != MAPS_RANK or channels <= CHANNELS:
        return description
    return f"{description}: the {CHANNELS} most varied of {channels} channels"


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
    rows = _strongest(kernels)
    lines = -(-len(rows) // COLUMNS)
    figure = new_figure(0.95 * COLUMNS, 0.7 + 0.95 * lines)
    limit = float(np.abs(kernels[rows]).max()) or 1.0
    for position, row in enumerate(rows, start=1):
        axes = figure.add_subplot(lines, COLUMNS, position)
        _draw_kernel(axes, kernels[row], limit)
    count = f"{len(rows)} of {len(kernels)}, the strongest" if len(rows) < len(kernels) else f"{len(kernels)}"
    size = "x".join(str(side) for side in kernels.shape[1:])
    title = f"{shorten(filters.layer, 30)} ({filters.kind}): {count}, {size}; weights from -{limit:.2g} to {limit:.2g}"
    figure.suptitle(title, color=INK, fontsize=10)
    return figure


def _strongest(kernels: Float32[np.ndarray, "n height width channels"]) -> Int64[np.ndarray, " chosen"]:
    """The rows drawn, in order."""
    strength = np.linalg.norm(kernels.reshape(len(kernels), -1), axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_FILTERS])


def _draw_kernel(axes: Axes, kernel: Float32[np.ndarray, "height width channels"], limit: float) -> None:
    if kernel.shape[-1] == MAPS_RANK:
        axes.imshow(np.clip(0.5 + kernel / (2 * limit), 0, 1), interpolation="nearest")
    else:
        axes.imshow(kernel[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    hide_axes(axes)
