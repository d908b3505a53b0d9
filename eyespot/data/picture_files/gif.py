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
    """Walk the blocks up to the end of the first frame, and keep what that needs."""
    if len(content) < 13:  # noqa: PLR2004 - signature and screen
        raise DamagedFile("it ends before its first frame")
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    offset = 13 + _palette(flags)
    parts, control = [content[:offset]], b""
    for _ in range(MOST_EXTENSIONS):
        kind = content[offset : offset + 1]
        if kind == EXTENSION and offset + 2 <= len(content):
            end = _after_data(content, offset + 2)
            control = content[offset:end] if content[offset + 1] == CONTROL else control
            offset = end
        elif kind == IMAGE and offset + 10 <= len(content):
            left, top, frame_width, frame_height, flags = struct.unpack_from("<4HB", content, offset + 1)
            end = _after_data(content, offset + 10 + _palette(flags) + 1)
            parts += [control, content[offset:end], TRAILER]
            size = (max(width, left + frame_width), max(height, top + frame_height))  # Pillow enlarges the screen
            return PictureContents(
                "GIF", *size, b"".join(parts), 1, frames=1 + (TRAILER != content[end : end + 1] != b"")
            )
        elif kind in {b"", TRAILER}:
            break
        else:
            offset += 1
    raise DamagedFile("it ends before its first frame")


def _palette(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & PALETTE else 0


def _after_data(content: bytes, offset: int) -> int:
    """Where a chain of blocks ends: after one of length 0, or with the file."""
    for _ in range(MOST_BLOCKS):
        if offset >= len(content):
            return offset  # Pillow tells whether pixels are missing
        length = content[offset]
        offset += 1 + length
        if not length:
            return offset
    raise DamagedFile(f"it has more than {MOST_BLOCKS:,} blocks")
