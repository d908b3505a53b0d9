"""JPEG, with the first picture of an MPO: ITU-T T.81, annex B."""

import struct

from eyespot.data.encoded.stored import Damaged, NotRead, Stored, orientation_of

MAGIC = b"\xff\xd8\xff"
SOS, EOI, DQT, DHT, DAC, DRI = 0xDA, 0xD9, 0xDB, 0xC4, 0xCC, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, DAC, 0xC8}
READ = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})  # sequential and progressive, Huffman or arithmetic
PROGRESSIVE = frozenset({0xC2, 0xCA})
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
JFIF, EXIF, ADOBE = 0xE0, 0xE1, 0xEE
XMP = b"http://ns.adobe.com/xap/1.0/\0"
MOST_SEGMENTS = 2_000  # before the first scan: a colour profile and an extended XMP of 100 MB have some 1,600


def stored_jpeg(content: bytes) -> Stored:
    """Walks the segments before the first scan, and keeps those that pixels are decoded from."""
    kept, frame, exif, xmp, place = [b"\xff\xd8"], b"", b"", b"", 2
    for _ in range(MOST_SEGMENTS):
        place = content.find(b"\xff", place)
        while place >= 0 and content[place + 1 : place + 2] == b"\xff":  # fill bytes
            place += 1
        if place < 0 or place + 4 > len(content):
            raise Damaged("it ends before its pixels")
        marker = content[place + 1]
        if marker in ALONE or not marker:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place : place + 2 + length]
        if marker == EOI or length < 2 or len(segment) < 2 + length:  # noqa: PLR2004 - it counts itself
            raise Damaged("it ends before its pixels")
        if marker in FRAMES:
            if frame:
                raise Damaged("it has two frame headers")
            frame = segment
        if marker in FRAMES | {DQT, DHT, DAC, DRI, SOS} or (marker in {JFIF, ADOBE} and len(kept) < MOST_SEGMENTS // 4):
            kept.append(segment)
        elif marker == EXIF and segment.startswith(b"Exif\0\0", 4):
            exif = exif or segment[4:]
        elif marker == EXIF and segment.startswith(XMP, 4):
            xmp = xmp or segment[4:]
        place += len(segment)
        if marker == SOS:
            # A marker never occurs within a scan's data: this counts every scan, and perhaps more.
            scans = content.count(b"\xff\xda", place - len(segment))
            kept.append(content[place:])
            return _stored(frame, segment, scans, b"".join(kept), orientation_of(exif, xmp))
    raise Damaged(f"it has more than {MOST_SEGMENTS:,} segments before its pixels")


def _stored(frame: bytes, scan: bytes, scans: int, content: bytes, orientation: int) -> Stored:
    if len(frame) < 10 or len(frame) < 10 + 3 * frame[9]:  # noqa: PLR2004 - marker, length, precision, sides, components
        raise Damaged("it has no frame header before its pixels")
    if frame[1] not in READ:
        raise NotRead("a lossless or hierarchical JPEG")
    precision, height, width, components = struct.unpack_from(">BHHB", frame, 4)
    if precision != 8 or components not in {1, 3, 4}:  # noqa: PLR2004 - what Pillow decodes
        raise NotRead(f"a JPEG of {precision} bits and {components} components")
    working: float = 1 if components == 1 else 4
    several = frame[1] in PROGRESSIVE or scan[4] < components
    if several:  # all coefficients are kept, 2 bytes each, until the last scan
        sampling = [frame[11 + 3 * index] for index in range(components)]
        across, down = [each >> 4 for each in sampling], [each & 15 for each in sampling]
        if not all(0 < each <= 4 for each in across + down):  # noqa: PLR2004 - T.81
            raise Damaged("its sampling factors are not 1 to 4")
        area = sum(a * d for a, d in zip(across, down, strict=True))
        working += 2 * area / (max(across) * max(down))
    return Stored("JPEG", width, height, content, working, orientation, passes=scans if several else 1)
