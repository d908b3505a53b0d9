"""Which pixels are ink."""

import numpy as np
from scipy import ndimage

from eyespot.shapes import Bool, Float32, Int64

FAINTEST = 0.05  # of ink, beside the paper
NOISE = 4.0  # standard deviations
LEVELS = 9
HIGHEST = 0.75
LOWER = 0.6  # of the threshold: ink that faint belongs to a stroke where it touches surer ink
HALF = 0.6  # of a piece's strength: between paper and ink, where an edge is
NEARLY = 0.85  # of the best level's score
SPECK = 0.015  # share of the long side; nothing drawn is smaller either way
FRAME = 2  # pixels: what touches the frame is cut off, or no drawing
WHOLE = 0.97  # share of a side: what is as large is the paper, not what is on it
CENTRAL = 0.5  # how much less a piece counts at the frame than in the middle
EIGHT = np.ones((3, 3), bool)  # neighbours


def ink_mask(ink: Float32[np.ndarray, "height width"], noise: float) -> Bool[np.ndarray, "height width"]:
    """Ink by hysteresis (Canny 1986), at the threshold under which one piece stands out most.

    With each threshold, connected pieces count by strength, by the root of their size, and by how central they are;
    what touches the frame (the table, a shadow, a torn edge) does not, unless there is nothing else. Too low a
    threshold joins a digit with fainter lines and loses in strength, too high a one breaks it and loses in size.

    Args:
        ink: how strongly each pixel differs from its background, 0 to 1.
        noise: its standard deviation.
    """
    least = max(FAINTEST, NOISE * noise)
    levels = np.geomspace(least, max(HIGHEST, 1.2 * least), LEVELS)
    for keep_cut_off in (False, True):
        pieces = [_Pieces(ink, float(level), cut_off=keep_cut_off) for level in levels]
        best = max(piece.score for piece in pieces)
        if best > 0:
            found = next(piece for piece in pieces if piece.score >= NEARLY * best)
            middle = HALF * found.strength
            return (found if found.level >= middle else _Pieces(ink, middle, cut_off=keep_cut_off)).mask()
    return np.zeros(ink.shape, bool)


class _Pieces:
    """The connected pieces under one threshold.

    Attributes:
        level: the threshold.
        score: of the piece that stands out most; 0 without any.
        strength: of that piece.
    """

    def __init__(self, ink: Float32[np.ndarray, "height width"], level: float, *, cut_off: bool) -> None:
        self._labels, count = ndimage.label(ink > LOWER * level, EIGHT)
        self._kept = np.zeros(count + 1, bool)
        self.level, self.score, self.strength = level, 0.0, 0.0
        if not count:
            return
        flat = self._labels.ravel()
        sure = np.bincount(flat, (ink > level).ravel(), count + 1) > 0
        area = np.bincount(flat, minlength=count + 1)
        strength = np.bincount(flat, ink.ravel(), count + 1) / np.maximum(area, 1)
        # A piece has at least as many pixels as its longer side; of grain there are a hundred thousand pieces.
        candidate = sure & (area >= SPECK * max(ink.shape))
        candidate[0] = False
        if not cut_off:
            candidate[_frame_labels(self._labels)] = False
        indices = np.flatnonzero(candidate)
        numbers = np.zeros(count + 1, self._labels.dtype)
        numbers[indices] = np.arange(1, len(indices) + 1)
        for index, (rows, columns) in zip(indices.tolist(), ndimage.find_objects(numbers[self._labels]), strict=True):
            sides = rows.stop - rows.start, columns.stop - columns.start
            if max(sides) < SPECK * max(ink.shape):
                continue
            self._kept[index] = True
            if min(side / whole for side, whole in zip(sides, ink.shape, strict=True)) < WHOLE:
                middle = (rows.start + rows.stop) / ink.shape[0] - 1, (columns.start + columns.stop) / ink.shape[1] - 1
                central = 1 - CENTRAL * max(map(abs, middle))
                score = float(strength[index]) * max(sides) ** 0.5 * central
                if score > self.score:
                    self.score, self.strength = score, float(strength[index])

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """All pieces but specks and what is cut off."""
        return np.asarray(self._kept[self._labels])


def _frame_labels(labels: np.ndarray) -> Int64[np.ndarray, " pieces"]:
    ring = [labels[:FRAME], labels[-FRAME:], labels[:, :FRAME], labels[:, -FRAME:]]
    return np.unique(np.concatenate([side.ravel() for side in ring])).astype(np.int64)
