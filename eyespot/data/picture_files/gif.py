"""GIF: the specification of GIF89a, CompuServe 1990."""

import struct

from eyespot.data.picture_files.contents import DamagedFile, PictureContents

MAGIC = (b"GIF87a", b"GIF89a")
PALETTE = 0x80  # a flag; the three lowest bits say how long it is
EXTENSION, IMAGE, TRAILER = b"!", b",", b";"
CONTROL = 0xF9
MOST_EXTENSIONS = 10_000  # before the first frame
MOST_BLOCKS = 500_000  # of one extension or frame: some 255 bytes each in a file of 100 MB


def stored_gif(content: bytes) -> PictureContents:
    """Walks the blocks up to the end of the first frame, and keeps what that needs."""
    if len(content) < 13:  # noqa: PLR2004 - signature and screen
        raise DamagedFile("it ends before its first frame")
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    place = 13 + _palette(flags)
    kept, control = [content[:place]], b""
    for _ in range(MOST_EXTENSIONS):
        kind = content[place : place + 1]
        if kind == EXTENSION and place + 2 <= len(content):
            end = _after_data(content, place + 2)
            control = content[place:end] if content[place + 1] == CONTROL else control
            place = end
        elif kind == IMAGE and place + 10 <= len(content):
            left, top, across, down, flags = struct.unpack_from("<4HB", content, place + 1)
            end = _after_data(content, place + 10 + _palette(flags) + 1)
            kept += [control, content[place:end], TRAILER]
            size = (max(width, left + across), max(height, top + down))  # Pillow enlarges the screen
            return PictureContents(
                "GIF", *size, b"".join(kept), 1, frames=1 + (TRAILER != content[end : end + 1] != b"")
            )
        elif kind in {b"", TRAILER}:
            break
        else:
            place += 1
    raise DamagedFile("it ends before its first frame")


def _palette(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & PALETTE else 0


def _after_data(content: bytes, place: int) -> int:
    """Where a chain of blocks ends: after one of length 0, or with the file."""
    for _ in range(MOST_BLOCKS):
        if place >= len(content):
            return place  # Pillow tells whether pixels are missing
        length = content[place]
        place += 1 + length
        if not length:
            return place
    raise DamagedFile(f"it has more than {MOST_BLOCKS:,} blocks")
