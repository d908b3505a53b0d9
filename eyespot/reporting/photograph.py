"""What a photograph looked like after each step on its way into the model."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from eyespot.reporting.style import INK, new_figure, shorten, show
from eyespot.shapes import Shaped

COLUMNS = 4


def steps_figure(name: str, steps: Sequence[tuple[str, Shaped[np.ndarray, "..."]]]) -> Figure:
    """The steps side by side, in order.

    Args:
        name: of the picture.
        steps: what was done, and a uint8 picture, [height, width] or [height, width, channels].
    """
    columns = min(COLUMNS, len(steps))
    lines = -(-len(steps) // columns)
    figure = new_figure(max(3.2 * columns, 5.0), 0.5 + 3.0 * lines)
    for place, (title, image) in enumerate(steps, start=1):
        axes = figure.add_subplot(lines, columns, place)
        show(axes, image if image.ndim == 3 else image[..., None])  # noqa: PLR2004 - with channels
        axes.set_title(f"{place}. {shorten(title, 44)}", color=INK, fontsize=8)
    figure.suptitle(shorten(name, 60), color=INK, fontsize=11)
    return figure
