"""Formats that store pixels as they are: BMP, and the portable bitmaps PBM, PGM and PPM."""

import re
import struct

from eyespot.data.picture_files.contents import DamagedFile, PictureContents, UnsupportedFile

BMP = b"BM"
CORE_HEADER = 12  # bytes; later headers are longer
RAW, RLE8, RLE4, BIT_FIELDS = range(4)
PALETTE_BITS = 8

PORTABLE = tuple(b"P%d" % number for number in range(1, 7))
HEAD = 1024  # bytes within which a portable bitmap's header ends, its comments included
COMMENT = re.compile(rb"#[^\r\n]*")
TEXT = frozenset({b"P1", b"P2", b"P3"})
BYTE, TWO_BYTES = 255, 65535
LONGEST_TEXT, MOST_COMMENTS = 4_000_000, 100  # Pillow looks for comments again after each


def stored_bmp(content: bytes) -> PictureContents:
    """Read the header."""
    if len(content) < 26:  # noqa: PLR2004 - both headers, the second at its shortest
        raise DamagedFile("it ends within its header")
    (length,) = struct.unpack_from("<I", content, 14)
    if length == CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<4H", content, 18)
        packing = RAW
    elif len(content) >= 34:  # noqa: PLR2004 - up to the packing
        width, height, _, bits, packing = struct.unpack_from("<IiHHI", content, 18)
    else:
        raise DamagedFile("it ends within its header")
    if packing not in {RAW, RLE8, RLE4, BIT_FIELDS}:
        raise UnsupportedFile(f"a BMP with compression {packing}")
    slow = packing in {RLE8, RLE4}
    return PictureContents("BMP", width, abs(height), content, 1 if bits <= PALETTE_BITS else 4, slow=slow)


def stored_portable(content: bytes) -> PictureContents:
    """Read the header."""
    kind = content[:2]
    words = COMMENT.sub(b" ", content[:HEAD]).split()[1:4]
    numbers = [int(word) for word in words if word.isdigit() and len(word) <= 10]  # noqa: PLR2004 - as Pillow reads
    if kind in {b"P1", b"P4"}:
        numbers = [*numbers[:2], 1]
    if len(numbers) < 3:  # noqa: PLR2004 - width, height, highest value
        raise DamagedFile("its header has no width, height and highest value")
    width, height, highest = numbers[:3]
    if kind in TEXT and (len(content) > LONGEST_TEXT or content.count(b"#") > MOST_COMMENTS):
        raise UnsupportedFile(
            f"a portable bitmap in text of more than {LONGEST_TEXT:,} bytes or {MOST_COMMENTS} comments"
        )
    plain = kind == b"P4" or highest == BYTE or (kind == b"P5" and highest == TWO_BYTES)
    working = 4 if kind in {b"P3", b"P6"} or highest > BYTE else 1
    return PictureContents("PPM", width, height, content, working, slow=kind in TEXT or not plain)
