"""Figures of a network's inside: feature maps of each layer, and the first layer's filters."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eyespot.explanation.features import LayerValue
from eyespot.explanation.filters import Filters
from eyespot.reporting.style import INK, bare, new_figure, shorten
from eyespot.shapes import Float32, Int64

CHANNELS = 8
MOST_LAYERS = 24
MOST_FILTERS = 64
COLUMNS = 8
MAPS_RANK = 3
STRIP = 128  # units in a row


def features_figure(name: str, values: Sequence[LayerValue]) -> Figure:
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


def _caption(value: LayerValue) -> str:
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
        bare(panel)
        panel.set_xlabel(str(channel), fontsize=7, labelpad=1)
    for panel in axes[len(order) :]:
        panel.set_axis_off()


def _draw_units(axes: Axes, units: Float32[np.ndarray, " units"]) -> None:
    """Units in rows of at most 128; what is left of the last row is blank."""
    columns = min(len(units), STRIP)
    strip = np.full(-(-len(units) // columns) * columns, np.nan, np.float32)
    strip[: len(units)] = units
    axes.imshow(strip.reshape(-1, columns), cmap="gray", aspect="auto", interpolation="nearest")
    bare(axes)


def _strongest(kernels: Float32[np.ndarray, "n height width channels"]) -> Int64[np.ndarray, " chosen"]:
    """The rows drawn, in order."""
    strength = np.linalg.norm(kernels.reshape(len(kernels), -1), axis=1)
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_FILTERS])


def _draw_kernel(axes: Axes, kernel: Float32[np.ndarray, "height width channels"], most: float) -> None:
    if kernel.shape[-1] == MAPS_RANK:
        axes.imshow(np.clip(0.5 + kernel / (2 * most), 0, 1), interpolation="nearest")
    else:
        axes.imshow(kernel[..., 0], cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    bare(axes)
