"""Common operations on an image's pixels: its border, a Pillow image, a file's content, another size."""

import base64
import io

import numpy as np
from PIL import Image

from eyespot.shapes import Float32, Shaped, UInt8

LARGEST = 96  # pixels a side of an image in a page
SHARP = 48  # up to this many, pixels are kept as they are
QUALITY = 80
GAP = 14  # of an image's width lies between two


def border_median(images: UInt8[np.ndarray, "n height width channels"]) -> Float32[np.ndarray, "n channels"]:
    """The median of each channel along each image's border: the colour of a plain background."""
    levels: Float32[np.ndarray, "n channels"] = np.median(border_pixels(images), axis=1).astype(np.float32)
    return levels


def border_pixels(images: Shaped[np.ndarray, "n height width ..."]) -> Shaped[np.ndarray, "n border ..."]:
    """The outermost ring of each image, every pixel once: the top row, the bottom row, then both sides."""
    return np.concatenate([images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]], axis=1)


def encode_png(image: UInt8[np.ndarray, "height width channels"], *, optimize: bool = False) -> bytes:
    """The content of a PNG file, greyscale or colour.

    Args:
        optimize: make it as small as it gets, which takes longer.
    """
    buffer = io.BytesIO()
    as_pillow(image).save(buffer, "PNG", optimize=optimize)
    return buffer.getvalue()


def as_pillow(image: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    """A greyscale image of one channel, a colour one of three."""
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def data_uri(*images: UInt8[np.ndarray, "height width channels"]) -> str:
    """Images side by side as one WebP in a `data:` address; small ones without loss, large ones reduced."""
    thumbnails = [_small(image) for image in images]
    if len(thumbnails) == 1:
        row = thumbnails[0]
    else:
        width, height = thumbnails[0].size
        step = width + max(1, width // GAP)
        row = Image.new("RGBA", (step * len(thumbnails), height))  # see-through between them
        for number, picture in enumerate(thumbnails):
            row.paste(picture, (step * number, 0))
    return webp_uri(row, lossless=row.height <= SHARP)


def webp_uri(picture: Image.Image, *, lossless: bool = False, quality: int = QUALITY) -> str:
    """An image of Pillow as WebP in a `data:` address."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=lossless, quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _small(image: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    picture = as_pillow(image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture


def reduce_size(values: Float32[np.ndarray, "height width"], longest: int) -> Float32[np.ndarray, "rows columns"]:
    """Means over blocks, `longest` pixels on the long side."""
    factor = longest / max(values.shape)
    size = (max(1, round(values.shape[1] * factor)), max(1, round(values.shape[0] * factor)))
    return resize(values, size, Image.Resampling.BOX)


def enlarge(values: Float32[np.ndarray, "rows columns"], shape: tuple[int, ...]) -> Float32[np.ndarray, "height width"]:
    """Smoothly interpolated to a shape of (height, width)."""
    return resize(values, (shape[1], shape[0]), Image.Resampling.BILINEAR)


def resize(
    values: Float32[np.ndarray, "rows columns"], size: tuple[int, int], how: Image.Resampling
) -> Float32[np.ndarray, "height width"]:
    """Pillow's resizing to (width, height), of floating-point values."""
    return np.asarray(Image.fromarray(values).resize(size, how), np.float32)
