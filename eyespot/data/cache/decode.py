"""Decoding pictures, a chunk at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eyespot.data.picture import Form, Header, Limits, read_header, read_with_header
from eyespot.errors import PictureError

CHUNK = 64  # pictures that are decoded at once, and written down as done

Chunk = Sequence[Path | bytes]
Found = list[tuple[int, int, int, str | None]]


def headers(sources: Chunk, limits: Limits) -> list[Header | None]:
    """Of each picture, or None where it cannot be opened."""
    found: list[Header | None] = []
    for source in sources:
        try:
            found.append(read_header(source, "", limits))
        except PictureError:
            found.append(None)  # its pixels will not be read either, and the reason be told then
    return found


def decode_into(file: Path, start: int, sources: Chunk, form: Form) -> Found:
    """Decodes pictures and writes their pixels into a file.

    Args:
        file: which has room for them.
        start: byte at which the first one's pixels begin.
        form: what they are brought to.

    Returns:
        Of each: width, height and frames of the picture as it is stored, and why it could not be read; None where it
        could. Of one that cannot be read, the pixels are 0.

    Raises:
        OSError: they cannot be written.
    """
    pixels = np.zeros((len(sources), *form.shape), np.uint8)
    told: Found = []
    for row, source in enumerate(sources):
        try:
            pixels[row], header = read_with_header(source, form, "it")
        except PictureError as error:
            told.append((0, 0, 0, str(error).rstrip(".")))
        else:
            told.append((header.width, header.height, header.frames, None))
    with file.open("rb+") as opened:
        opened.seek(start)
        opened.write(pixels.data)
    return told
