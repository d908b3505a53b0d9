"""Ruled and squared paper: its lines are found by their length, taken out, and the strokes they cross repaired."""

import numpy as np
from PIL import Image
from scipy import ndimage

from eyespot.data.pixels import resize
from eyespot.shapes import Bool, Float32

SLOPES = np.tan(np.radians(np.arange(-15, 15.1, 1.5)))
REACH = 0.012  # share of the long side: a line is darker than what lies so far to both sides of it
FAINTEST = 0.02  # of a line, beside its sides
NOISE = 2.5  # standard deviations
DENSEST = 80  # percentile
LENGTH = 0.3  # share of the side along it that a line covers at least
COVERED = 0.7  # of that length
CLIPPED = 0.1  # of a difference: a dark stroke that is crossed counts no more
BESIDE = 9  # rows
NEARLY_BEST = 0.1
ALIKE = 3  # parallel lines that make a pattern
AT_FRAME = 0.04  # share of a side: a line alone must reach that close to the frame
ACROSS = 7  # pixels: wider than a line
ALONG = 0.15  # share of the width over which a line's darkness is averaged
STRONGER = 1.5  # times as dark as the line: such a pixel belongs to a stroke


def remove_lines(
    ink: Float32[np.ndarray, "height width"], noise: float
) -> tuple[Float32[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """Take out long, thin, straight lines up to 15 degrees from level and from upright.

    Args:
        ink: how strongly each pixel differs from its background, 0 to 1.
        noise: its standard deviation.

    Returns:
        The ink without them, and where they were.
    """
    level = _lines(ink, noise)
    cleaned = _erased(ink, level)
    upright = _lines(np.ascontiguousarray(cleaned.T), noise)
    cleaned = np.ascontiguousarray(_erased(np.ascontiguousarray(cleaned.T), upright).T)
    return cleaned, level | upright.T


def _lines(ink: Float32[np.ndarray, "height width"], noise: float) -> Bool[np.ndarray, "height width"]:
    """Where level lines are: found at half size, where they are a pixel or two wide."""
    height, width = ink.shape
    half = resize(ink, (-(-width // 2), -(-height // 2)), Image.Resampling.BOX)
    darker = _darker(half)
    ridge = darker > max(FAINTEST, NOISE * noise / 2, float(np.percentile(darker, DENSEST)))
    tolerant = ndimage.maximum_filter1d(ridge.astype(np.float32), 3, axis=0, mode="constant")
    # Texture may have ridges everywhere, but they are not darker than their sides on average.
    level = ndimage.uniform_filter1d(np.clip(darker, -CLIPPED, CLIPPED), 3, axis=0)
    length = max(9, round(LENGTH * half.shape[1]))
    coverage = np.stack([_coverage(tolerant, level, float(slope), length) for slope in SLOPES])
    # Beside a line, and at slopes near its own, others are covered too, but less.
    highest = ndimage.maximum_filter1d(coverage.max(axis=0), BESIDE, axis=0)
    runs = (coverage >= np.maximum(COVERED, highest - NEARLY_BEST)) & (tolerant > 0)
    lines = _patterns(np.asarray(runs.any(axis=0)))
    return np.repeat(np.repeat(lines, 2, axis=0), 2, axis=1)[:height, :width]


def _darker(ink: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Return how much darker each pixel is than the pixels above and below."""
    reach = max(2, round(REACH * max(ink.shape)))
    padded = np.pad(ink, ((reach, reach), (0, 0)), mode="edge")
    darker: Float32[np.ndarray, "height width"] = ink - np.maximum(padded[: -2 * reach], padded[2 * reach :])
    return darker


def _coverage(
    ridge: Float32[np.ndarray, "height width"], level: Float32[np.ndarray, "height width"], slope: float, length: int
) -> Float32[np.ndarray, "height width"]:
    """The largest share of ridge on any run of a length, along a slope, that holds a pixel; 0 where it is no darker."""
    height, width = ridge.shape
    shift = np.round(slope * (np.arange(width) - width / 2)).astype(np.intp)
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    forward, backward = rows + shift, rows - shift
    inside = (forward >= 0) & (forward < height)
    forward = np.clip(forward, 0, height - 1)
    share = ndimage.uniform_filter1d(np.where(inside, ridge[forward, columns], 0), length, axis=1, mode="nearest")
    if float(share.max()) < COVERED:
        return np.zeros(ridge.shape, np.float32)
    mean = ndimage.uniform_filter1d(np.where(inside, level[forward, columns], 0), length, axis=1, mode="nearest")
    along = ndimage.maximum_filter1d(np.where(mean > 0, share, 0), length, axis=1, mode="constant")
    outside = (backward < 0) | (backward >= height)
    return np.where(outside, 0, along[np.clip(backward, 0, height - 1), columns]).astype(np.float32)


def _patterns(runs: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The runs that are lines of the paper: several alike, or reaching the frame; a digit's stroke is alone."""
    joined = ndimage.maximum_filter1d(runs.astype(np.uint8), 9, axis=1)
    labels, count = ndimage.label(joined, np.ones((3, 3)))
    if not count:
        return runs
    width = runs.shape[1]
    long_runs, frame_runs = [], []
    for index, (_, columns) in enumerate(ndimage.find_objects(labels), start=1):
        if columns.stop - columns.start >= LENGTH * width:
            long_runs.append(index)
            if columns.start <= AT_FRAME * width or columns.stop >= (1 - AT_FRAME) * width:
                frame_runs.append(index)
    return runs & np.isin(labels, long_runs if len(long_runs) >= ALIKE else frame_runs)


def _erased(
    ink: Float32[np.ndarray, "height width"], lines: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Erase level lines: what is much darker stays, and the gaps are bridged between above and below."""
    if not lines.any():
        return ink
    is_stroke = ~lines | (ink > STRONGER * _darkness(ink, lines))
    strokes = np.where(is_stroke, ink, 0).astype(np.float32)
    thickest = round(float(np.percentile(_thicknesses(lines), 90)))
    bridged = ndimage.grey_closing(strokes, (thickest + 2, 1))
    return np.where(is_stroke, ink, bridged).astype(np.float32)


def _darkness(
    ink: Float32[np.ndarray, "height width"], lines: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """How dark the line is that a pixel lies on: its darkest across, averaged along; strokes that cross are capped."""
    darkest = ndimage.maximum_filter1d(np.where(lines, ink, 0), ACROSS, axis=0)
    typical = float(np.median(darkest[lines]))
    capped = np.where(lines, np.minimum(darkest, STRONGER * typical), 0)
    window = max(9, round(ALONG * ink.shape[1]))
    total = ndimage.uniform_filter1d(capped, window, axis=1, mode="constant")
    share = ndimage.uniform_filter1d(lines.astype(np.float32), window, axis=1, mode="constant")
    mean: Float32[np.ndarray, "height width"] = total / np.maximum(share, np.float32(1 / window))
    return mean


def _thicknesses(lines: Bool[np.ndarray, "height width"]) -> Float32[np.ndarray, " runs"]:
    """Return the length of each run of line pixels down a column."""
    edges = np.diff(np.pad(lines, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    starts, ends = np.nonzero(edges.T == 1)[1], np.nonzero(edges.T == -1)[1]
    return (ends - starts).astype(np.float32)
