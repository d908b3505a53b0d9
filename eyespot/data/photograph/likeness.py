"""Whether a picture already looks like the training pictures, and is best left as it is; NumPy alone."""

import numpy as np

from eyespot.data.photograph.appearance import Appearance
from eyespot.data.photograph.outline import SAME_LEVEL, distances, edge_pixels, outline
from eyespot.shapes import UInt8

MARGIN = 0.04  # a pixel of 28
FAINTEST = 0.5  # of the usual strength
SAME_EDGE = 0.5  # the least share of edge pixels on the background's level


def looks_like_training(image: UInt8[np.ndarray, "height width channels"], appearance: Appearance) -> bool:
    """Whether polarity, background, size and place of the object are those of the training pictures.

    Args:
        image: at the model's size.
    """
    grey = image.mean(axis=2).round().astype(np.uint8)
    background = appearance.background * 255
    if (np.abs(edge_pixels(grey) - background) <= SAME_LEVEL).mean() < min(SAME_EDGE, appearance.uniform):
        return False
    found = outline(distances(grey, background, lighter=appearance.lighter))
    return (
        found is not None
        and found.strength >= FAINTEST * appearance.strength
        and appearance.height.holds(found.height, MARGIN)
        and appearance.width.holds(found.width, MARGIN)
        and appearance.longest.holds(max(found.height, found.width), MARGIN)
        and appearance.mass_row.holds(found.mass_row, MARGIN)
        and appearance.mass_column.holds(found.mass_column, MARGIN)
        and appearance.box_row.holds(found.box_row, MARGIN)
        and appearance.box_column.holds(found.box_column, MARGIN)
    )
