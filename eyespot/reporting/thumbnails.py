"""Pictures inside a page, as data that it carries with it."""

import base64
import io

import numpy as np
from PIL import Image

from eyespot.shapes import UInt8

LARGEST = 96  # pixels a side
SHARP = 48  # up to this many, pixels are kept as they are
QUALITY = 80
GAP = 14  # of a picture's width lies between two


def data_uri(*images: UInt8[np.ndarray, "height width channels"]) -> str:
    """Pictures side by side as one WebP in a `data:` address; small ones without loss, large ones reduced."""
    small = [_small(image) for image in images]
    if len(small) == 1:
        row = small[0]
    else:
        width, height = small[0].size
        step = width + max(1, width // GAP)
        row = Image.new("RGBA", (step * len(small), height))  # see-through between them
        for number, picture in enumerate(small):
            row.paste(picture, (step * number, 0))
    stored = io.BytesIO()
    row.save(stored, "WEBP", lossless=row.height <= SHARP, quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(stored.getvalue()).decode()


def _small(image: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture
