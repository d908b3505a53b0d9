"""Pictures in other sizes, antialiased."""

import numpy as np
from PIL import Image

from eyespot.shapes import Float32

LONGEST = 800  # pixels a photograph is worked at
SHORTEST = 400  # of the long side: smaller ones are enlarged, so that strokes have some pixels


def working_grey(picture: Image.Image) -> Float32[np.ndarray, "height width"]:
    """A picture's grey levels, 0 to 1, with a long side from 400 to 800 pixels."""
    grey = picture.convert("L")
    longest = max(grey.size)
    factor = min(LONGEST / longest, 1.0) * max(SHORTEST / longest, 1.0)
    if factor != 1:
        size = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
        grey = grey.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC)
    return np.asarray(grey, np.float32) / np.float32(255)


def reduce_size(values: Float32[np.ndarray, "height width"], longest: int) -> Float32[np.ndarray, "rows columns"]:
    """Means over blocks, so many pixels on the long side."""
    factor = longest / max(values.shape)
    size = (max(1, round(values.shape[1] * factor)), max(1, round(values.shape[0] * factor)))
    return resize(values, size, Image.Resampling.BOX)


def resize(
    values: Float32[np.ndarray, "rows columns"], size: tuple[int, int], how: Image.Resampling
) -> Float32[np.ndarray, "height width"]:
    """Pillow's resizing to (width, height), of floating-point values."""
    return np.asarray(Image.fromarray(values).resize(size, how), np.float32)


def enlarge(values: Float32[np.ndarray, "rows columns"], shape: tuple[int, ...]) -> Float32[np.ndarray, "height width"]:
    """Smoothly interpolated to a shape of (height, width)."""
    return resize(values, (shape[1], shape[0]), Image.Resampling.BILINEAR)
