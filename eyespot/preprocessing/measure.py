"""Measuring what training images look like; once, at training."""

import numpy as np
from scipy import ndimage

from eyespot.data.dataset import RowView
from eyespot.data.pixels import border_pixels
from eyespot.preprocessing.appearance import (
    OBJECT,
    SAME_LEVEL,
    Appearance,
    Centring,
    Distribution,
    Outline,
    distances,
    outline,
)
from eyespot.shapes import Bool, Float32, UInt8

SAMPLE, FEWEST = 2_000, 50  # pictures
SAMPLE_BYTES = 1 << 25
STROKES_SAMPLE = 300
PLAIN = 0.6  # the least share of edge pixels that have the background's level
DIFFERS = 8  # levels by which channels may differ in a grey picture that was stored as colour
FEW = 0.05  # share of the pixels that may differ more all the same
CENTRED = 0.03  # the most by which a centre varies from quartile to quartile, where pictures are centred by it
HALF = 0.5
# Times, and the most pixels a side, to which small images are enlarged before their strokes are measured.
ENLARGED, LARGE = 4, 112
# Strokes are at most this share of the object's longest side, or this number of pixels; beyond it, objects are filled.
STROKE_SHARE = 0.22
STROKE_PIXELS = 3.0
QUANTILES = (0.1, 25, 50, 75, 99.9)


def measure_appearance(images: UInt8[np.ndarray, "n height width channels"] | RowView) -> Appearance:
    """Measure the appearance of the training images, or of an even sample where they are many.

    Args:
        images: all of one size; `channels` is 1 or 3.
    """
    limit = max(FEWEST, min(SAMPLE, SAMPLE_BYTES // max(1, images.nbytes // len(images))))
    sample: UInt8[np.ndarray, ...] = images[:: -(-len(images) // limit)]
    colour = _is_coloured(sample)
    greys = np.stack([_grey(image) for image in sample])
    edges = border_pixels(greys)
    background = float(np.median(edges))
    uniform = float((np.abs(edges - background) <= SAME_LEVEL).mean())
    lighter = _is_lighter(greys, background)
    plain = not colour and uniform >= PLAIN and min(images.shape[1:3]) > 1
    outlines, widths = _drawings(greys, background, lighter=lighter) if plain else ([], [])
    longest = _spread([max(contour.height, contour.width) for contour in outlines])
    return Appearance(
        plain=bool(outlines),
        colour=colour,
        lighter=lighter,
        background=background / 255,
        uniform=uniform,
        strength=float(np.median([contour.strength for contour in outlines])) if outlines else 0.0,
        height=_spread([contour.height for contour in outlines]),
        width=_spread([contour.width for contour in outlines]),
        longest=longest,
        mass_row=_spread([contour.mass_row for contour in outlines]),
        mass_column=_spread([contour.mass_column for contour in outlines]),
        box_row=_spread([contour.box_row for contour in outlines]),
        box_column=_spread([contour.box_column for contour in outlines]),
        centring=_centring(outlines),
        stroke=_spread([core / images.shape[1] for core, _ in widths]),
        drawn=_are_drawn([full for _, full in widths], longest.median * images.shape[1]),
    )


def _is_coloured(sample: UInt8[np.ndarray, "n height width channels"]) -> bool:
    if sample.shape[3] == 1:
        return False
    shares = [(image.max(axis=2).astype(np.int16) - image.min(axis=2) > DIFFERS).mean() for image in sample]
    return bool(np.mean(shares) > FEW)


def _grey(image: UInt8[np.ndarray, "height width channels"]) -> UInt8[np.ndarray, "height width"]:
    grey: UInt8[np.ndarray, "height width"]
    grey = image[..., 0] if image.shape[2] == 1 else image.mean(axis=2).round().astype(np.uint8)
    return grey


def _is_lighter(greys: UInt8[np.ndarray, "n height width"], background: float) -> bool:
    """Whether more pixels are lighter than the background than darker."""
    lighter, darker = greys > background + SAME_LEVEL, greys < background - SAME_LEVEL
    return bool(np.count_nonzero(lighter) >= np.count_nonzero(darker))


def _drawings(
    greys: UInt8[np.ndarray, "n height width"], background: float, *, lighter: bool
) -> tuple[list[Outline], list[tuple[float, float]]]:
    """Outlines of the objects, and of some of them the width of the strokes' core, and with their faint edges."""
    outlines, widths = [], []
    step = -(-len(greys) // STROKES_SAMPLE)
    for index, grey in enumerate(greys):
        field = distances(grey, background, lighter=lighter)
        contour = outline(field)
        if contour:
            outlines.append(contour)
            if index % step == 0:
                core, full = stroke_widths(field, HALF, OBJECT)
                widths.append((core, full))
    return outlines, widths


def stroke_widths(distance: Float32[np.ndarray, "height width"], *levels: float) -> list[float]:
    """The width of the strokes in a small picture, in its pixels, at each level.

    Args:
        distance: of each pixel from the background, towards the object.
        levels: from which share of the largest distance a pixel belongs to a stroke.
    """
    factor: int = max(1, min(ENLARGED, LARGE // max(distance.shape)))
    enlarged = ndimage.zoom(distance, factor, order=1, grid_mode=True, mode="nearest")
    return [mask_stroke_width(enlarged > level * float(distance.max())) / factor for level in levels]


def mask_stroke_width(mask: Bool[np.ndarray, "height width"]) -> float:
    """The width of the strokes in a mask, in pixels; 0 for an empty one.

    In a strip of width w the mean distance to its edge is w / 4, wherever it leads.
    """
    if not mask.any():
        return 0.0
    depths = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask]
    return max(1.0, 4 * float(depths.mean()) - 2)  # pixel centres lie half a pixel further in than their edges


def _spread(values: list[float]) -> Distribution:
    return Distribution(*np.percentile(values or [0.0], QUANTILES).clip(0, 1).tolist())


def _centring(outlines: list[Outline]) -> Centring:
    """Return the centre that varies less; "none" where both vary much."""
    if not outlines:
        return "none"
    mass, box = (
        max(_spread([getattr(contour, f"{kind}_{axis}") for contour in outlines]).width for axis in ("row", "column"))
        for kind in ("mass", "box")
    )
    if min(mass, box) > CENTRED:
        return "none"
    return "mass" if mass <= box else "box"


def _are_drawn(widths: list[float], longest: float) -> bool:
    """Whether strokes are narrow beside the object, or as narrow as pixels allow; all in pixels."""
    return bool(widths) and float(np.median(widths)) <= max(STROKE_PIXELS, STROKE_SHARE * longest)
