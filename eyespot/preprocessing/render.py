"""An object in the size, place, stroke width and contrast of the training images."""

import numpy as np
from PIL import Image
from scipy import ndimage

from eyespot.data.pixels import resize
from eyespot.preprocessing.appearance import Appearance
from eyespot.preprocessing.measure import mask_stroke_width
from eyespot.preprocessing.objects import DetectedObject
from eyespot.shapes import Bool, Float32, UInt8

FINE = 8  # pixels of the canvas a pixel of the model's
HALF = 0.5
NEAR = 2  # working pixels around a stroke in which its edge lies
SURE = 0.75  # of a stroke's ink
LEAST_INK = 1e-3
THINNED = 0.35  # of its width, the most a stroke loses: its narrow parts would break
LEAST_STEADY = 0.05  # of the picture's height: an extent that varies more says nothing


def render_object(
    ink: Float32[np.ndarray, "height width"], found: DetectedObject, appearance: Appearance, size: tuple[int, int]
) -> UInt8[np.ndarray, "rows columns"]:
    """Draw one object as a training image, at (height, width) `size`."""
    area = (slice(found.top, found.bottom), slice(found.left, found.right))
    mask, crop = found.mask, ink[area]
    height, width = size
    factor = _factor(mask.shape, appearance, size) * FINE
    shape = tuple(max(1, round(side * factor)) for side in mask.shape)
    if appearance.drawn:
        usual_widths = (appearance.stroke.quarter * height * FINE, appearance.stroke.three_quarters * height * FINE)
        body = _widened(_strokes(mask, crop / max(found.strength, LEAST_INK), shape), usual_widths, max(shape))
    else:
        body = _greys(mask, crop, shape)
    canvas = _placed(body, appearance, (height * FINE, width * FINE))
    reduced = resize(canvas, (width, height), Image.Resampling.BOX)
    sign = 1 if appearance.lighter else -1
    levels = 255 * (appearance.background + sign * appearance.strength * np.clip(reduced, 0, 1))
    picture: UInt8[np.ndarray, "rows columns"] = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return picture


def _factor(shape: tuple[int, ...], appearance: Appearance, size: tuple[int, int]) -> float:
    """Model pixels a working pixel: by whichever extent the training images share, and so that both sides fit."""
    extents = {
        "longest": (max(shape), max(size), appearance.longest),
        "height": (shape[0], size[0], appearance.height),
        "width": (shape[1], size[1], appearance.width),
    }
    object_side, image_side, extent = min(extents.values(), key=lambda entry: entry[2].width)
    limit = min(
        size[0] * max(appearance.height.high, LEAST_STEADY) / shape[0],
        size[1] * max(appearance.width.high, LEAST_STEADY) / shape[1],
    )
    return min(image_side * max(extent.median, LEAST_STEADY) / object_side, limit)


def _widened(
    strokes: Bool[np.ndarray, "height width"], usual_widths: tuple[float, float], longest: int
) -> Float32[np.ndarray, "rows columns"]:
    """Strokes whose edge is moved along its normal until their width is a usual one; as long as before on a side."""
    width = mask_stroke_width(strokes)
    shift = max((float(np.clip(width, *usual_widths)) - width) / 2, -THINNED * width / 2)
    padded = np.pad(strokes, int(max(shift, 0)) + 2)
    distance = ndimage.distance_transform_edt(~padded) - ndimage.distance_transform_edt(padded)
    body = _trimmed(np.clip(HALF + shift - distance, 0, 1).astype(np.float32))
    if max(body.shape) == longest:
        return body
    factor = longest / max(body.shape)
    return resize(body, tuple(max(1, round(side * factor)) for side in body.shape[::-1]), Image.Resampling.BILINEAR)


def _trimmed(body: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "rows columns"]:
    rows = np.flatnonzero((body > 0).any(axis=1))
    columns = np.flatnonzero((body > 0).any(axis=0))
    if not len(rows):
        return body
    return body[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _strokes(
    mask: Bool[np.ndarray, "rows columns"], ink: Float32[np.ndarray, "rows columns"], shape: tuple[int, ...]
) -> Bool[np.ndarray, "height width"]:
    """The strokes at another size, sharp, with some room around them.

    Args:
        ink: 1 in the middle of a stroke.
        shape: the size of the object, without the room.
    """
    neighbourhood = ndimage.binary_dilation(mask, iterations=NEAR)
    soft = np.where(neighbourhood, np.clip(ink, 0, 1), 0)
    soft = np.maximum(soft, SURE * mask).astype(np.float32)  # a faint place in a stroke is no hole
    padded = np.pad(soft, NEAR)
    scale = (shape[0] / mask.shape[0], shape[1] / mask.shape[1])
    target = tuple(max(1, round(side * factor)) for side, factor in zip(padded.shape, scale, strict=True))
    return resize(padded, (target[1], target[0]), Image.Resampling.BICUBIC) > HALF


def _greys(
    mask: Bool[np.ndarray, "rows columns"], ink: Float32[np.ndarray, "rows columns"], shape: tuple[int, ...]
) -> Float32[np.ndarray, "height width"]:
    """Resize a filled object with its greys, scaled so that the darkest are the strongest."""
    filled = ndimage.binary_fill_holes(mask)
    strongest = max(float(np.percentile(ink[mask], 95)), LEAST_INK)
    return resize(
        np.where(filled, ink / strongest, 0).astype(np.float32), (shape[1], shape[0]), Image.Resampling.BILINEAR
    )


def _placed(
    body: Float32[np.ndarray, "height width"], appearance: Appearance, canvas: tuple[int, int]
) -> Float32[np.ndarray, "rows columns"]:
    """Place an object on an empty canvas, with its centre where the training images have theirs."""
    height, width = body.shape
    if appearance.centring == "mass":
        total = max(float(body.sum()), 1e-6)
        centre = (
            float(body.sum(axis=1) @ (np.arange(height) + 0.5)) / total,
            float(body.sum(axis=0) @ (np.arange(width) + 0.5)) / total,
        )
        target = (appearance.mass_row.median, appearance.mass_column.median)
    else:
        centre = (height / 2, width / 2)
        target = (appearance.box_row.median, appearance.box_column.median)
    starts = [round(share * side - middle) for share, side, middle in zip(target, canvas, centre, strict=True)]
    image = np.zeros(canvas, np.float32)
    rows, columns = (
        slice(max(start, 0), max(0, min(start + length, side)))
        for start, length, side in zip(starts, body.shape, canvas, strict=True)
    )
    image[rows, columns] = body[
        rows.start - starts[0] : rows.stop - starts[0], columns.start - starts[1] : columns.stop - starts[1]
    ]
    return image
