"""Which pixels are ink."""

import numpy as np
from scipy import ndimage

from eyespot.shapes import Bool, Float32

FAINTEST = 0.05  # of ink, beside the paper
NOISE = 5.0  # standard deviations
LEVELS = 128
LOWER = 0.55  # of the upper threshold: ink that faint belongs to a stroke where it touches surer ink
SPECK = 0.012  # share of the long side; nothing drawn is smaller either way
ROUNDS = 4
SUBSTANTIAL = 0.3  # share of the ink that does not touch the frame: enough to have set the thresholds
HALO = 4  # pixels around what is taken out
FRAME = 2  # pixels: what touches the frame is cut off, or no drawing


def ink_mask(ink: Float32[np.ndarray, "height width"], noise: float) -> Bool[np.ndarray, "height width"]:
    """Ink by two thresholds (hysteresis, Canny 1986), the upper by Otsu's method among all that is more than noise.

    What touches the frame (the table, a shadow, a torn edge) is taken out and the thresholds are sought again, until
    something else is left; where nothing is, what touches the frame is all there is.

    Args:
        ink: how strongly each pixel differs from its background, 0 to 1.
        noise: its standard deviation.
    """
    least = max(FAINTEST, NOISE * noise)
    candidates = ink > least
    first: Bool[np.ndarray, "height width"] | None = None
    for _ in range(ROUNDS):
        if not candidates.any():
            break
        mask = _without_specks(_hysteresis(ink, candidates, least))
        first = mask if first is None else first
        inner = _without_cut_off(mask)
        if inner.any() and inner.sum() >= SUBSTANTIAL * mask.sum():
            return inner
        halo = ndimage.binary_dilation(mask & ~inner, iterations=HALO)
        candidates &= ~halo
        if inner.any():
            last = _without_specks(_without_cut_off(_hysteresis(ink, candidates, least)))
            return last if last.any() else inner
    return np.zeros(ink.shape, bool) if first is None else first


def _hysteresis(
    ink: Float32[np.ndarray, "height width"], candidates: Bool[np.ndarray, "height width"], least: float
) -> Bool[np.ndarray, "height width"]:
    upper = max(least, otsu(ink[candidates]))
    likely = candidates & (ink > max(least, LOWER * upper))
    labels, count = ndimage.label(likely, np.ones((3, 3)))
    touched = np.zeros(count + 1, bool)
    touched[np.unique(labels[likely & (ink > upper)])] = True
    touched[0] = False
    return touched[labels]


def otsu(values: Float32[np.ndarray, " n"]) -> float:
    """The threshold that parts values in [0, 1] into two classes of least variance within (Otsu 1979)."""
    counts, edges = np.histogram(values, LEVELS, (0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    parted = (below > 0) & (above > 0)
    if not parted.any():
        return 0.0
    low = sums / np.maximum(below, 1)
    high = (sums[-1] - sums) / np.maximum(above, 1)
    between = np.where(parted, below * above * (high - low) ** 2.0, -1.0)
    return float(edges[int(between.argmax()) + 1])


def _without_cut_off(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    at_frame = np.zeros(count + 1, bool)
    for side in (labels[:FRAME], labels[-FRAME:], labels[:, :FRAME], labels[:, -FRAME:]):
        at_frame[np.unique(side)] = True
    at_frame[0] = True
    return ~at_frame[labels]


def _without_specks(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    least = SPECK * max(mask.shape)
    large = np.zeros(count + 1, bool)
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        large[index] = max(rows.stop - rows.start, columns.stop - columns.start) >= least
    return large[labels]
