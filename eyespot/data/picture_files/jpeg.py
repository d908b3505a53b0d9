"""JPEG, with the first picture of an MPO: ITU-T T.81, annex B."""

import re
import struct
from collections.abc import Iterator

from eyespot.data.picture_files.contents import DamagedFile, PictureContents, UnsupportedFile, orientation_of

MAGIC = b"\xff\xd8\xff"
MARKER = re.compile(rb"\xff([^\xff])", re.DOTALL)  # after any number of fill bytes
SOS, EOI, DQT, DHT, DAC, DRI = 0xDA, 0xD9, 0xDB, 0xC4, 0xCC, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, DAC, 0xC8}
READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # sequential and progressive, Huffman or arithmetic
PROGRESSIVE = frozenset({0xC2, 0xCA})
ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})  # no marker, and markers without a segment
JFIF, ADOBE = 0xE0, 0xEE
KEPT = FRAMES | {DQT, DHT, DAC, DRI, SOS, JFIF, ADOBE}
XMP = b"http://ns.adobe.com/xap/1.0/\0"
MOST_SEGMENTS = 2_000  # before the first scan: a colour profile and an extended XMP of 100 MB have some 1,600


def stored_jpeg(content: bytes) -> PictureContents:
    """Walk the segments before the first scan, and keep those that pixels are decoded from."""
    segments, frames, exif, xmp, end = [content[:2]], [], b"", b"", 0
    for marker, segment, end in _segments(content):  # noqa: B007 - where the last one ends
        if marker in FRAMES:
            frames.append(segment)
        if marker in KEPT:
            segments.append(segment)
        elif segment.startswith(b"Exif\0\0", 4):
            exif = exif or segment[4:]
        elif segment.startswith(XMP, 4):
            xmp = xmp or segment[4:]
    if len(frames) != 1:
        raise DamagedFile(f"it has {len(frames)} frame headers")
    # A marker never occurs within a scan's data: this counts every scan, and perhaps more.
    scans = 1 + content.count(b"\xff\xda", end)
    return _stored(frames[0], segments[-1], scans, b"".join([*segments, content[end:]]), orientation_of(exif, xmp))


def _segments(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Each segment's marker, the segment with it, and where it ends, up to the header of the first scan."""
    offset = 2
    for _ in range(MOST_SEGMENTS):
        match = MARKER.search(content, offset)
        if match is None or match.end() + 2 > len(content):
            raise DamagedFile("it ends before its pixels")
        marker, offset = match[1][0], match.start()
        if marker in ALONE:
            offset += 2
            continue
        (length,) = struct.unpack_from(">H", content, offset + 2)
        segment = content[offset : offset + 2 + length]
        if marker == EOI or length < 2 or len(segment) < 2 + length:  # noqa: PLR2004 - it counts itself
            raise DamagedFile("it ends before its pixels")
        offset += len(segment)
        yield marker, segment, offset
        if marker == SOS:
            return
    raise DamagedFile(f"it has more than {MOST_SEGMENTS:,} segments before its pixels")


def _stored(frame: bytes, scan: bytes, scans: int, content: bytes, orientation: int) -> PictureContents:
    if len(frame) < 10 or len(frame) < 10 + 3 * frame[9]:  # noqa: PLR2004 - marker, length, precision, sides, components
        raise DamagedFile("it has no frame header before its pixels")
    if frame[1] not in READ:
        raise UnsupportedFile("a lossless or hierarchical JPEG")
    precision, height, width, components = struct.unpack_from(">BHHB", frame, 4)
    if precision != 8 or components not in {1, 3, 4}:  # noqa: PLR2004 - what Pillow decodes
        raise UnsupportedFile(f"a JPEG of {precision} bits and {components} components")
    working: float = 1 if components == 1 else 4
    buffered = frame[1] in PROGRESSIVE or scan[4] < components
    if buffered:  # all coefficients are kept, 2 bytes each, until the last scan
        sampling = [frame[11 + 3 * index] for index in range(components)]
        across, down = [factor >> 4 for factor in sampling], [factor & 15 for factor in sampling]
        if not all(0 < factor <= 4 for factor in across + down):  # noqa: PLR2004 - T.81
            raise DamagedFile("its sampling factors are not 1 to 4")
        area = sum(a * d for a, d in zip(across, down, strict=True))
        working += 2 * area / (max(across) * max(down))
    return PictureContents("JPEG", width, height, content, working, orientation, passes=scans if buffered else 1)
