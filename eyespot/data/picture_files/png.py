"""PNG: W3C Portable Network Graphics, third edition."""

import struct
import zlib
from collections.abc import Iterator

from eyespot.data.picture_files.contents import DamagedFile, PictureContents, orientation_of

MAGIC = b"\x89PNG\r\n\x1a\n"
KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
PROFILE, XMP = b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"  # EXIF as ImageMagick writes it, and XMP
LONGEST_PROFILE = 1 << 18  # characters, of EXIF in hexadecimals
MOST_CHUNKS = 100_000  # of 1,000 bytes each in a file of 100 MB
HEADER = 13  # bytes
COLOR, GREY_ALPHA, COLOR_ALPHA = 2, 4, 6
SIXTEEN = 16


def stored_png(content: bytes) -> PictureContents:
    """Walk the chunks and keep those that pixels are decoded from; of an animation, that is its first picture."""
    chunks, exif, xmp, frames = [MAGIC], b"", b"", 1
    for kind, chunk in _chunks(content):
        if kind in KEPT:
            chunks.append(chunk)
        elif kind == b"eXIf":
            exif = chunk[8:-4]
        elif kind == b"acTL" and len(chunk) >= 12:  # noqa: PLR2004 - up to the number of frames
            (frames,) = struct.unpack_from(">I", chunk, 8)
        elif kind in TEXTS:
            exif = exif or _profile(chunk[8:-4])
            xmp = xmp or _xmp(chunk[8:-4])
    header = chunks[1] if len(chunks) > 1 else b""
    if not header.startswith(b"IHDR", 4) or len(header) < 12 + HEADER:
        raise DamagedFile("it does not begin with its header")
    width, height, bits, color = struct.unpack_from(">IIBB", header, 8)
    working = 4 if color in {COLOR, GREY_ALPHA, COLOR_ALPHA} else bits // 8 if bits == SIXTEEN else 1
    return PictureContents("PNG", width, height, b"".join(chunks), working, orientation_of(exif, xmp), max(1, frames))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's kind, and the chunk with its length and checksum, up to the last, or to where the file is cut off.

    Pillow tells whether pixels are missing then.
    """
    offset = len(MAGIC)
    for _ in range(MOST_CHUNKS):
        if offset + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, offset)
        yield kind, content[offset : offset + 12 + length]
        if kind == b"IEND":
            return
        offset += 12 + length
    raise DamagedFile(f"it has more than {MOST_CHUNKS:,} chunks")


def _profile(text: bytes) -> bytes:
    """EXIF in a text chunk, in hexadecimals after three lines; nothing where it is none."""
    if not text.startswith(PROFILE):
        return b""
    value = text[len(PROFILE) :]
    try:
        if value[:1] == b"\0":
            value = zlib.decompressobj().decompress(value[1:], LONGEST_PROFILE)
        return bytes.fromhex(b"".join(value[:LONGEST_PROFILE].split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return b""  # damaged metadata are no reason to refuse a picture


def _xmp(text: bytes) -> bytes:
    return text[len(XMP) :] if text.startswith(XMP) else b""
