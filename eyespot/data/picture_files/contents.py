"""Stored: what a picture's file says of itself, and the part of it that pixels are decoded from."""

import re
import struct
from dataclasses import dataclass

ORIENTATION = 0x0112  # the EXIF tag
TYPES = {1: "B", 3: "H", 4: "I"}  # of a tag's value, as whole numbers
ENTRY = 12  # bytes of a tag
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


class DamagedFile(Exception):  # noqa: N818 - a finding, which becomes a PictureError
    """The file is truncated or breaks its format; the message says where."""


class UnsupportedFile(Exception):  # noqa: N818 - as above
    """The file is of a kind that is not read; the message names the kind, with its article where it has one."""


@dataclass(frozen=True)
class PictureContents:
    """A picture's file, before anything is decoded.

    Attributes:
        format: Pillow's name of it; no other decoder is tried.
        width: in pixels, as stored; so is `height`.
        content: the file without what no pixel needs: metadata, further frames, trailing bytes.
        working: bytes of memory that decoding takes for each pixel, the decoded picture included.
        orientation: as EXIF or XMP state it, 1 to 8; 1 is upright.
        frames: more than one in an animation or a file of several pages; perhaps not all are counted.
        passes: times that the decoder goes over the pixels.
        slow: Pillow decodes it in Python, one pixel after the other.
    """

    format: str
    width: int
    height: int
    content: bytes
    working: float
    orientation: int = 1
    frames: int = 1
    passes: int = 1
    slow: bool = False


def orientation_of(exif: bytes = b"", xmp: bytes = b"") -> int:
    """The orientation that metadata state, 1 to 8; 1 where they state none.

    Args:
        exif: a TIFF header with a directory, with or without `Exif` before it.
        xmp: XML, which counts where EXIF says nothing.
    """
    orientation = None
    try:
        orientation = _from_exif(exif.removeprefix(b"Exif\0\0"))
    except struct.error:  # damaged metadata are no reason to refuse a picture
        orientation = None
    if orientation is None:
        match = XMP_ORIENTATION.search(xmp)
        orientation = int(match[1]) if match else 1
    return orientation if 1 <= orientation <= 8 else 1  # noqa: PLR2004 - EXIF's values


def _from_exif(exif: bytes) -> int | None:
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    orientation = None
    for offset in range(start + 2, min(start + 2 + ENTRY * count, len(exif)), ENTRY):
        tag, kind = struct.unpack_from(order + "HH", exif, offset)
        if tag == ORIENTATION and kind in TYPES:
            (orientation,) = struct.unpack_from(order + TYPES[kind], exif, offset + 8)
    return orientation
