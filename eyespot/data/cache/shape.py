"""Which size, and grey or colour, pictures are brought to, where the user does not say."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyespot.data.cache.decode import CHUNK, headers
from eyespot.data.cache.share import shared_work
from eyespot.data.picture import Header, Limits, read_picture
from eyespot.data.sources.listing import Listing
from eyespot.errors import DataError, PictureError
from eyespot.recipe_parts import PicturesRecipe

SAMPLE = 1_000  # pictures whose headers are read
COLOR_SAMPLE = 64  # pictures whose colours are looked at
COLOR_SIDE = 32
GREYEST = 6.0  # mean difference between channels, of 255, below which a picture is grey: that of a grey JPEG is 0 to 2
LARGEST = 160  # pixels on the longer side: a small classifier learns no more from more, and takes long


def infer_shape(listing: Listing, wanted: PicturesRecipe, limits: Limits) -> tuple[tuple[int, int, int], list[str]]:
    """Height, width and channels, and what the user should be told about them.

    The commonest size of the pictures, scaled down where it is large; grey where all pictures are. Of many pictures, a
    sample at equal distances is looked at.

    Raises:
        DataError: no picture can be opened.
    """
    if wanted.size and wanted.color is not None:
        return (*wanted.size, 3 if wanted.color else 1), []
    total = len(listing.entries)
    rows = np.unique(np.linspace(0, total - 1, min(total, SAMPLE)).astype(int)).tolist()
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    parts = dict(shared_work(lambda number: headers(listing.read(chunks[number]), limits), len(chunks)))
    found = [header for number in sorted(parts) for header in parts[number]]
    known = [(row, header) for row, header in zip(rows, found, strict=True) if header]
    if not known:
        raise DataError(f"{listing.path}: none of its {total:,} pictures can be opened.")
    size, notes = _size(wanted, [header for _, header in known], total)
    color = wanted.color if wanted.color is not None else _has_colors(listing, known, limits)
    return (*size, 3 if color else 1), notes


def _size(wanted: PicturesRecipe, found: Sequence[Header], total: int) -> tuple[tuple[int, int], list[str]]:
    """(height, width)."""
    if wanted.size:
        return wanted.size, []
    counts = Counter((header.height, header.width) for header in found)
    (height, width), share = counts.most_common(1)[0]
    among = "pictures" if len(found) == total else f"{len(found):,} pictures looked at"
    several = f"{share:,} of {len(found):,} {among} are {height}x{width}" if len(counts) > 1 else ""
    if max(height, width) <= LARGEST:
        return (height, width), [f"All are brought to {height}x{width}: {several}."] if several else []
    scale = LARGEST / max(height, width)
    smaller = (max(1, round(height * scale)), max(1, round(width * scale)))
    reason = several or f"they are {height}x{width}"
    return smaller, [f"All are brought to {smaller[0]}x{smaller[1]}: {reason}. --size sets another."]


def _has_colors(listing: Listing, found: Sequence[tuple[int, Header]], limits: Limits) -> bool:
    """Whether any picture shows colours; one stored in colour may be grey all the same."""
    stored = [row for row, header in found if not header.grey]
    sample: list[Path | bytes] = list(listing.read(stored[:: max(1, len(stored) // COLOR_SAMPLE)][:COLOR_SAMPLE]))
    for source in sample:
        try:
            pixels = read_picture(source, (COLOR_SIDE, COLOR_SIDE, 3), limits=limits).astype(np.int16)
        except PictureError:
            continue  # told when all are decoded
        if np.ptp(pixels, axis=2).mean() > GREYEST:
            return True
    return False
