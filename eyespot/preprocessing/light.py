"""Uneven light: how dark or light each pixel is beside the paper or board around it."""

import numpy as np
from scipy import ndimage

from eyespot.data.pixels import enlarge, reduce_size
from eyespot.shapes import Float32

COARSE = 200  # pixels of the long side on which light is estimated
WINDOW = 0.25  # share of the short side; wider than any stroke, narrower than most shadows
RING = 0.06  # share of a side: what lies along the frame, where a filled object is not
TRIMMED = 0.15  # level by which an edge pixel may differ from the fitted surface, and still be background
DARKEST = 0.04  # paper is never darker, else noise in deep shadow would count as ink
LIGHTEST = 0.8
NOISE = 4.0  # standard deviations
SCALES = (0.03, 0.045, 0.07, 0.1, 0.15, 0.25)  # shares of the short side: strokes that are narrower show
WIDE = 3  # of the scales: from this one on, paper between strokes and grids' cells show as well
BOARD = 0.26  # of the range: paper is lighter than that even in dim light
CAP = 0.3  # of a logarithm: a dark table counts no more than ink
NEARLY_ALL = 0.35  # of all that a polarity shows at any window
TOO_LITTLE = 0.01  # of what the other polarity shows
ROBUST = 1.4826  # a normal distribution's standard deviation, in median deviations
SECOND_DIFFERENCES = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)
SECOND_DIFFERENCES_GAIN = 6.0
WIDER = 3.0  # times the finest grain: the most that the texture of paper measures
INNER = 0.07  # share of the sides that are left out when polarity is determined: frames and borders


def background_of(grey: Float32[np.ndarray, "height width"], *, lighter: bool) -> Float32[np.ndarray, "height width"]:
    """The paper without what is drawn on it: all that is narrower than a window is filled from around.

    A closing (an opening on boards) follows the edges of shadows, of paper and table, as a blur would not.

    Args:
        grey: levels in [0, 1].
        lighter: ink is lighter than what it is on.
    """
    coarse = reduce_size(grey, COARSE)
    window = max(3, round(WINDOW * min(coarse.shape)))
    close = ndimage.grey_opening if lighter else ndimage.grey_closing
    filled = close(coarse, (window, window), mode="nearest")
    smooth = ndimage.gaussian_filter(filled, 1.5, mode="nearest")
    return enlarge(smooth, grey.shape)


def surface_of(grey: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """The background of a filled object: a quadratic surface through what lies along the frame."""
    height, width = grey.shape
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2], axis=-1)
    ring = np.maximum(np.abs(rows), np.abs(columns)) > 1 - 2 * RING
    ring_terms, levels = terms[ring], grey[ring]
    inliers = np.abs(levels - np.median(levels)) < TRIMMED
    surface: Float32[np.ndarray, "height width"] = np.full(grey.shape, np.median(levels), np.float32)
    for _ in range(2):
        weights = np.linalg.lstsq(ring_terms[inliers], levels[inliers], rcond=None)[0]
        surface = (terms @ weights).astype(np.float32)
        inliers = np.abs(surface[ring] - levels) < TRIMMED / 2
        if inliers.sum() < terms.shape[-1]:
            break
    clipped: Float32[np.ndarray, "height width"] = np.clip(surface, 0, 1)
    return clipped


def inkiness(
    grey: Float32[np.ndarray, "height width"], background: Float32[np.ndarray, "height width"], *, lighter: bool
) -> Float32[np.ndarray, "height width"]:
    """How strongly each pixel differs from the background, 0 to 1: light is divided out."""
    if lighter:
        contrast = (grey - background) / (1 - np.minimum(background, np.float32(LIGHTEST)))
    else:
        contrast = 1 - grey / np.maximum(background, np.float32(DARKEST))
    strength: Float32[np.ndarray, "height width"] = np.clip(contrast, 0, 1)
    return strength


def is_lighter(grey: Float32[np.ndarray, "height width"]) -> bool:
    """Whether what is drawn is lighter than what it is drawn on.

    What a closing fills is narrow and dark, what an opening removes narrow and light; edges of paper and shadows are
    neither. Strokes are narrower than the paper between them, so with windows growing from narrow to wide they show
    first: the polarity decides that comes near all it will ever show at the narrower window. Where both need wide ones,
    as with thick strokes close up, the level distinguishes paper from boards.
    """
    coarse = np.log(np.maximum(reduce_size(grey, COARSE), DARKEST / 2))  # in light or shadow, a stroke differs as much
    rows, columns = (round(INNER * side) for side in coarse.shape)
    inner = (slice(rows, coarse.shape[0] - rows), slice(columns, coarse.shape[1] - columns))
    noise = NOISE * noise_of(coarse)
    responses = np.zeros((2, len(SCALES)))
    for index, share in enumerate(SCALES):
        window = max(3, round(share * min(coarse.shape)))
        for side, tophat in enumerate((ndimage.black_tophat, ndimage.white_tophat)):
            response = tophat(coarse, (window, window), mode="nearest")[inner]
            responses[side, index] = (np.clip(response - noise, 0, CAP) ** 2).sum()
    strongest = responses.max(axis=1)
    if strongest.min() < TOO_LITTLE * strongest.max():
        return bool(strongest[1] > strongest[0])
    dark, light = ((responses >= NEARLY_ALL * strongest[:, None]).argmax(axis=1)).tolist()
    if min(dark, light) >= WIDE:
        return bool(np.median(grey) < BOARD)
    if dark == light:
        return bool(responses[1, light] > responses[0, dark])
    return bool(light < dark)


def noise_of(values: Float32[np.ndarray, "height width"]) -> float:
    """The standard deviation of noise and texture: the median deviation from a blurred picture, strokes being rare."""
    return ROBUST * float(np.median(np.abs(values - ndimage.gaussian_filter(values, 2.0))))


def grain_of(values: Float32[np.ndarray, "height width"]) -> float:
    """Return the noise as `noise_of`, also on squared paper: a second difference both ways ignores its lines.

    Immerkaer 1996, CVIU 64:300-302, with the median for the mean. Texture is wider than its finest grain, so the
    result is not more than `noise_of` says.
    """
    differences = ndimage.convolve(reduce_size(values, max(values.shape) // 2), SECOND_DIFFERENCES)
    grain = ROBUST * float(np.median(np.abs(differences))) / SECOND_DIFFERENCES_GAIN
    return min(noise_of(values), WIDER * grain)
