"""Measuring what training pictures look like; once, at training."""

import numpy as np
from scipy import ndimage

from eyespot.data.photograph.appearance import Appearance, Centring, Spread
from eyespot.data.photograph.outline import (
    OBJECT,
    SAME_LEVEL,
    Outline,
    distances,
    edge_pixels,
    object_mask,
    outline,
)
from eyespot.shapes import Bool, Float32, UInt8

SAMPLE = 2_000
STROKES_SAMPLE = 300
PLAIN = 0.6  # the least share of edge pixels that have the background's level
DIFFERS = 8  # levels by which channels may differ in a grey picture that was stored as colour
CENTRED = 0.03  # the most by which a centre varies from quartile to quartile, where pictures are centred by it
HALF = 0.5
ENLARGED = 4  # times, before strokes are measured: they are two or three pixels wide
# Strokes are at most this share of the object's longest side, or so many pixels; beyond it, objects are filled.
STROKE_SHARE = 0.22
STROKE_PIXELS = 3.0
QUANTILES = (0.1, 25, 50, 75, 99.9)


def measure_appearance(images: UInt8[np.ndarray, "n height width channels"]) -> Appearance:
    """Measures training pictures, or every so manieth of them where they are more than 2,000.

    Args:
        images: all of one size; `channels` is 1 or 3.
    """
    sample = images[:: -(-len(images) // SAMPLE)]
    spread = sample.max(axis=3).astype(np.int16) - sample.min(axis=3)
    colour = bool(np.percentile(spread, 95) > DIFFERS)
    grey = sample.mean(axis=3).round().astype(np.uint8)
    edges = np.stack([edge_pixels(image) for image in grey])
    background = float(np.median(edges))
    uniform = float((np.abs(edges - background) <= SAME_LEVEL).mean())
    lighter = bool(_share(grey > background + SAME_LEVEL) >= _share(grey < background - SAME_LEVEL))
    fields = [distances(image, background, lighter=lighter) for image in grey]
    outlines = [found for field in fields if (found := outline(field))]
    drawings = [field for field in fields if object_mask(field).any()][:: -(-len(fields) // STROKES_SAMPLE)]
    longest = _spread([max(found.height, found.width) for found in outlines])
    return Appearance(
        plain=not colour and uniform >= PLAIN and bool(outlines) and min(images.shape[1:3]) > 1,
        colour=colour,
        lighter=lighter,
        background=background / 255,
        uniform=uniform,
        strength=float(np.median([found.strength for found in outlines])) if outlines else 0.0,
        height=_spread([found.height for found in outlines]),
        width=_spread([found.width for found in outlines]),
        longest=longest,
        mass_row=_spread([found.mass_row for found in outlines]),
        mass_column=_spread([found.mass_column for found in outlines]),
        box_row=_spread([found.box_row for found in outlines]),
        box_column=_spread([found.box_column for found in outlines]),
        centring=_centring(outlines),
        stroke=_spread([stroke_width(field, HALF) / len(field) for field in drawings]),
        drawn=_are_drawn(drawings, longest.median),
    )


def stroke_width(distance: Float32[np.ndarray, "height width"], level: float) -> float:
    """The width of the strokes in a small picture, in its pixels.

    Args:
        distance: of each pixel from the background, towards the object.
        level: from which share of the largest distance a pixel belongs to a stroke.
    """
    enlarged = ndimage.zoom(distance, ENLARGED, order=1, grid_mode=True, mode="nearest")
    return mask_stroke_width(enlarged > level * float(distance.max())) / ENLARGED


def mask_stroke_width(mask: Bool[np.ndarray, "height width"]) -> float:
    """The width of the strokes in a mask, in pixels; 0 for an empty one.

    In a strip of width w the mean distance to its edge is w / 4, wherever it leads.
    """
    if not mask.any():
        return 0.0
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask]
    return max(1.0, 4 * float(inside.mean()) - 2)  # pixel centres lie half a pixel further in than their edges


def _are_drawn(drawings: list[Float32[np.ndarray, "height width"]], longest: float) -> bool:
    """Whether strokes, their faint edges included, are narrow beside the object, or as narrow as pixels allow."""
    widths = [stroke_width(field, OBJECT) for field in drawings]
    if not widths:
        return False
    width = float(np.median(widths))
    return width <= STROKE_PIXELS or width <= STROKE_SHARE * longest * len(drawings[0])


def _share(mask: Bool[np.ndarray, "n height width"]) -> float:
    return float(mask.mean())


def _spread(values: list[float]) -> Spread:
    return Spread(*np.percentile(values or [0.0], QUANTILES).clip(0, 1).tolist())


def _centring(outlines: list[Outline]) -> Centring:
    """Whichever centre varies less, if it varies little."""
    if not outlines:
        return "none"
    mass, box = (
        max(_spread([getattr(found, f"{kind}_{axis}") for found in outlines]).width for axis in ("row", "column"))
        for kind in ("mass", "box")
    )
    if min(mass, box) > CENTRED:
        return "none"
    return "mass" if mass <= box else "box"
