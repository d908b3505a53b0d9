"""Objects in a photograph: which pixels are ink, and which ink belongs to one object."""

from dataclasses import dataclass

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
CENTRAL_PIECE = 0.5  # how much less a piece counts at the frame than in the middle
EIGHT = np.ones((3, 3), bool)  # neighbours
SMALL = 0.4  # of another's longest side: so small a piece may be a part of it
NEAR = 0.3  # of the larger one's longest side: parts of an object are nearer than that
TOUCHING = 0.12  # ... and those that are no smaller than others only if so near
ABOVE = 0.5  # share of the narrower one's width that lies above or below the other
FLAT = 0.4  # height beside width, of a bar
BAR_ABOVE = 0.2  # share of a bar's width that lies above or below what it belongs to
DOT = 0.1  # of the main piece's longest side, and
DIRT = 0.02  # ... of its area: smaller ones are dirt
PEER = 0.55  # of the tallest's longest side: smaller ones are no objects of their own
FAINT = 0.45  # of the strongest one's strength: fainter ones are no objects of their own
MOST = 200  # pieces: a pattern has thousands, and each is compared with each
ROW = 0.5  # objects are in one row where their heights overlap by this share
CENTRAL = 0.35  # how much less an object counts at the frame than in the middle


def ink_mask(ink: Float32[np.ndarray, "height width"], noise: float) -> Bool[np.ndarray, "height width"]:
    """Ink by hysteresis (Canny 1986), at the threshold under which one piece stands out most.

    With each threshold, connected pieces count by strength, by the root of their size, and by how central they are;
    what touches the frame (the table, a shadow, a torn edge) does not, unless there is nothing else. Too low a
    threshold joins a digit with fainter lines and loses in strength, too high a one breaks it and loses in size.

    Args:
        ink: how strongly each pixel differs from its background, 0 to 1.
        noise: its standard deviation.
    """
    lowest = max(FAINTEST, NOISE * noise)
    levels = np.geomspace(lowest, max(HIGHEST, 1.2 * lowest), LEVELS)
    for keep_cut_off in (False, True):
        pieces = [_Pieces(ink, float(level), cut_off=keep_cut_off) for level in levels]
        best_score = max(piece.score for piece in pieces)
        if best_score > 0:
            selected = next(piece for piece in pieces if piece.score >= NEARLY * best_score)
            half_strength = HALF * selected.strength
            return (
                selected if selected.level >= half_strength else _Pieces(ink, half_strength, cut_off=keep_cut_off)
            ).mask()
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
        has_core = np.bincount(flat, (ink > level).ravel(), count + 1) > 0
        area = np.bincount(flat, minlength=count + 1)
        strength = np.bincount(flat, ink.ravel(), count + 1) / np.maximum(area, 1)
        # A piece has at least as many pixels as its longer side; of grain there are a hundred thousand pieces.
        candidate = has_core & (area >= SPECK * max(ink.shape))
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
            if min(side / extent for side, extent in zip(sides, ink.shape, strict=True)) < WHOLE:
                offset = (rows.start + rows.stop) / ink.shape[0] - 1, (columns.start + columns.stop) / ink.shape[1] - 1
                centrality = 1 - CENTRAL_PIECE * max(map(abs, offset))
                score = float(strength[index]) * max(sides) ** 0.5 * centrality
                if score > self.score:
                    self.score, self.strength = score, float(strength[index])

    def mask(self) -> Bool[np.ndarray, "height width"]:
        """All pieces but specks and what is cut off."""
        return np.asarray(self._kept[self._labels])


def _frame_labels(labels: np.ndarray) -> Int64[np.ndarray, " pieces"]:
    ring = [labels[:FRAME], labels[-FRAME:], labels[:, :FRAME], labels[:, -FRAME:]]
    return np.unique(np.concatenate([side.ravel() for side in ring])).astype(np.int64)


@dataclass(frozen=True, eq=False)
class DetectedObject:
    """An object on a photograph.

    Attributes:
        mask: its pixels, within the bounding box.
        top, left, bottom, right: its bounding box, in pixels; bottom and right are the first ones outside.
        strength: median of its ink.
    """

    mask: Bool[np.ndarray, "rows columns"]
    top: int
    left: int
    bottom: int
    right: int
    strength: float

    @property
    def longest(self) -> int:
        """The longer side of the bounding box."""
        return max(self.bottom - self.top, self.right - self.left)


def find_objects(
    mask: Bool[np.ndarray, "height width"], ink: Float32[np.ndarray, "height width"]
) -> tuple[list[DetectedObject], int]:
    """Group ink into objects.

    Returns:
        The objects in reading order, and the index of the one that the photograph is of: large, dark, in the middle.
    """
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    pieces = [
        _Piece((index,), rows.start, columns.start, rows.stop, columns.stop, int(areas[index]))
        for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1)
    ]
    groups = _grouped(_substantial(pieces, mask.shape))
    objects = [_found(group, labels, ink) for group in groups]
    if not objects:
        return [], 0
    main = max(objects, key=lambda candidate: _weight(candidate, mask.shape))
    peers = [
        candidate
        for candidate in objects
        if candidate.longest >= PEER * main.longest and candidate.strength >= FAINT * main.strength
    ]
    ordered = reading_order(peers)
    return ordered, ordered.index(main)


@dataclass(frozen=True)
class _Piece:
    """A connected piece, or several that belong together."""

    labels: tuple[int, ...]
    top: int
    left: int
    bottom: int
    right: int
    area: int

    @property
    def longest(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def is_bar(self) -> bool:
        """Whether it lies flat, as the bar of a 5 or a 7 and nothing that is written alone."""
        return self.bottom - self.top <= FLAT * (self.right - self.left)

    def joined(self, other: "_Piece") -> "_Piece":
        return _Piece(
            self.labels + other.labels,
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
            self.area + other.area,
        )


def _grouped(pieces: list[_Piece]) -> list[_Piece]:
    """Join pieces until none belongs to another; the largest comes first."""
    groups: list[_Piece] = []
    for piece in pieces:
        for index, group in enumerate(groups):
            if _belongs(piece, group):
                groups[index] = group.joined(piece)
                break
        else:
            groups.append(piece)
    return _grouped(groups) if len(groups) < len(pieces) else groups


def _belongs(piece: _Piece, group: _Piece) -> bool:
    """Whether a piece is a part of a group that is no smaller: a stroke of its own, or a broken one's end."""
    across = max(piece.left - group.right, group.left - piece.right)
    down = max(piece.top - group.bottom, group.top - piece.bottom)
    gap = max(across, down, 0)
    size = group.longest
    if piece.longest <= SMALL * size:
        return gap <= NEAR * size
    if piece.is_bar and -across >= BAR_ABOVE * (piece.right - piece.left):
        return gap <= NEAR * size
    narrower = min(piece.right - piece.left, group.right - group.left)
    return gap <= TOUCHING * size and -across >= ABOVE * narrower


def _substantial(pieces: list[_Piece], shape: tuple[int, ...]) -> list[_Piece]:
    """The pieces that may be parts of something, the largest first: no dots beside what counts most."""
    ordered = sorted(pieces, key=lambda piece: -piece.longest)
    if not ordered:
        return ordered
    main = max(ordered, key=lambda piece: piece.longest * _centrality(piece, shape))
    substantial = [piece for piece in ordered if piece.longest >= DOT * main.longest and piece.area >= DIRT * main.area]
    return substantial[:MOST]


def _centrality(item: "_Piece | DetectedObject", shape: tuple[int, ...]) -> float:
    """Return 1 for an object in the middle of the image, less towards the frame."""
    distance = max(abs((item.top + item.bottom) / shape[0] - 1), abs((item.left + item.right) / shape[1] - 1))
    return 1 - CENTRAL * distance


def _found(piece: _Piece, labels: np.ndarray, ink: Float32[np.ndarray, "height width"]) -> DetectedObject:
    area = (slice(piece.top, piece.bottom), slice(piece.left, piece.right))
    mask = np.isin(labels[area], piece.labels)
    return DetectedObject(mask, piece.top, piece.left, piece.bottom, piece.right, float(np.median(ink[area][mask])))


def _weight(detected: DetectedObject, shape: tuple[int, ...]) -> float:
    """Return size times strength, less away from the middle of the image."""
    return detected.longest * detected.strength * _centrality(detected, shape)


def reading_order(found: list[DetectedObject]) -> list[DetectedObject]:
    """Sort objects into rows from the top, each row from the left."""
    rows: list[list[DetectedObject]] = []
    for detected in sorted(found, key=lambda other: other.top + other.bottom):
        for row in rows:
            overlap = min(detected.bottom, max(other.bottom for other in row)) - max(
                detected.top, min(other.top for other in row)
            )
            if overlap >= ROW * (detected.bottom - detected.top):
                row.append(detected)
                break
        else:
            rows.append([detected])
    return [detected for row in rows for detected in sorted(row, key=lambda other: other.left)]
