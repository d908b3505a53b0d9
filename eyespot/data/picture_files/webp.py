"""WebP: RFC 9649."""

import struct
from collections.abc import Iterator

from eyespot.data.picture_files.contents import DamagedFile, PictureContents, UnsupportedFile, orientation_of

RiffChunk = tuple[bytes, bytes]  # kind and content
MAGIC = b"RIFF"
KIND = b"WEBP"  # after the length
PIXELS = frozenset({b"VP8 ", b"VP8L"})
EXTENDED, ANIMATION, FRAME, ALPHA = b"VP8X", b"ANIM", b"ANMF", b"ALPH"
ANIMATED, TRANSPARENT = 0x02, 0x10  # flags of an extended header; the others announce metadata
MOST_CHUNKS = 20_000
LOSSY_START, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
HEADER, FRAME_HEADER = 10, 16  # bytes
# libwebp's two canvases and its own buffer, Pillow's copy as bytes and the picture, 4 bytes each.
WORKING = 20


def stored_webp(content: bytes) -> PictureContents:
    """Walk the chunks; of an animation, keep the first frame."""
    if content[8:12] != KIND:
        raise UnsupportedFile("a RIFF file that is no WebP")
    chunks = list(_chunks(content, 12, min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])))
    first, header = chunks[0] if chunks else (b"", b"")
    if first in PIXELS:
        size, frames, picture_chunks = _size(first, header), 1, chunks[:1]
    elif first == EXTENDED and len(header) >= HEADER:
        size, frames, picture_chunks = _extended(header, chunks)
    else:
        raise DamagedFile("it does not begin with its header")
    payload = KIND + b"".join(_chunk(*chunk) for chunk in picture_chunks)
    metadata = {kind: body for kind, body in reversed(chunks) if kind in {b"EXIF", b"XMP "}}
    orientation = orientation_of(metadata.get(b"EXIF", b""), metadata.get(b"XMP ", b""))
    packed = MAGIC + struct.pack("<I", len(payload)) + payload
    return PictureContents("WEBP", *size, packed, WORKING, orientation, frames)


def _chunks(content: bytes, start: int, end: int) -> Iterator[RiffChunk]:
    """Yield the complete chunks."""
    for _ in range(MOST_CHUNKS):
        if start + 8 > end:
            return
        kind, length = struct.unpack_from("<4sI", content, start)
        start += 8
        if start + length > end:
            return
        yield kind, content[start : start + length]
        start += length + length % 2
    raise DamagedFile(f"it has more than {MOST_CHUNKS:,} chunks")


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    """Width and height that the compressed pixels state themselves."""
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == LOSSY_START:  # noqa: PLR2004 - the frame's header
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5 and body[0] == LOSSLESS_START:  # noqa: PLR2004 - as above
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise DamagedFile("its pixels have no header")


def _extended(header: bytes, chunks: list[RiffChunk]) -> tuple[tuple[int, int], int, list[RiffChunk]]:
    """Size, number of frames, and the chunks of the first picture."""
    size = _side(header, 4), _side(header, 7)
    picture_chunks = [(EXTENDED, bytes([header[0] & (ANIMATED | TRANSPARENT)]) + header[1:HEADER])]
    frames = [body for kind, body in chunks if kind == FRAME]
    if header[0] & ANIMATED:
        kinds: tuple[bytes, ...] = (ANIMATION, FRAME)
        pixels = list(_chunks(frames[0], FRAME_HEADER, len(frames[0]))) if frames else []
        frame_size = (_side(frames[0], 6), _side(frames[0], 9)) if frames else (0, 0)
    else:
        kinds, pixels, frame_size = (ALPHA, *sorted(PIXELS)), chunks, size
    picture_chunks += [next(chunk for chunk in chunks if chunk[0] == kind) for kind in kinds if kind in dict(chunks)]
    sizes = {_size(kind, body) for kind, body in pixels if kind in PIXELS}
    if sizes != {frame_size} or frame_size[0] > size[0] or frame_size[1] > size[1]:
        raise DamagedFile("its canvas and its picture differ in size")
    return size, max(1, len(frames)), picture_chunks


def _side(body: bytes, offset: int) -> int:
    """Return a width or height, which is stored minus one."""
    return int.from_bytes(body[offset : offset + 3], "little") + 1


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
