"""TIFF: revision 6.0, Aldus 1992. Its first picture, uncompressed or packed without loss."""

import struct
from collections.abc import Mapping
from typing import Literal

from eyespot.data.picture_files.contents import ENTRY, DamagedFile, PictureContents, UnsupportedFile, orientation_of

MAGIC = (b"II*\0", b"MM\0*")
ORDERS = {b"II": "<", b"MM": ">"}
ENDIANS: dict[str, Literal["little", "big"]] = {"<": "little", ">": "big"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of each type
NUMBERS = {1: "B", 3: "H", 4: "I"}
WIDTH, HEIGHT, BITS, PACKING, SAMPLES, PLANES = 256, 257, 258, 259, 277, 284
STRIPS, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 273, 279, 322, 323, 324, 325
ORIENTATION, XMP = 274, 700
# What pixels are decoded from; also photometry, fill order, options of fax, predictor, palette, alpha, sample format.
KEPT = frozenset(
    {WIDTH, HEIGHT, BITS, PACKING, SAMPLES, PLANES, STRIPS, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES}
    | {262, 266, 278, 292, 293, 317, 320, 338, 339, 530, 532}
)
READ = KEPT | {ORIENTATION}
ORIENTATIONS = range(1, 9)
UNPACKED = 1
PACKINGS = frozenset({UNPACKED, 2, 3, 4, 5, 8, 32773, 32946})  # fax, LZW, deflate and PackBits
NAMES = {6: "JPEG", 7: "JPEG", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}
MOST_PARTS = 65_536  # strips or tiles
MOST_VALUES = 3 * 65_536  # of any tag: a palette of 16 bits
MOST_SAMPLES = 6
SIXTEEN = 16
MOST_TAGS = 1_000
Tag = tuple[int, int, int, bytes]  # number, type, count, and the value or where it is


def stored_tiff(content: bytes) -> PictureContents:
    """Read the first directory, and write one anew with the tags that pixels are decoded from."""
    order = ORDERS[content[:2]]
    if len(content) < 8:  # noqa: PLR2004 - the header
        raise DamagedFile("it ends within its header")
    (start,) = struct.unpack_from(order + "I", content, 4)
    tags, following = _directory(content, start, order)
    values = {number: _numbers(content, tag, order) for number, tag in tags.items() if number in READ}
    width, height = _one(values, WIDTH, 0), _one(values, HEIGHT, 0)
    packing = _one(values, PACKING, UNPACKED)
    if packing not in PACKINGS:
        raise UnsupportedFile(f"a TIFF packed as {NAMES.get(packing, f'compression {packing}')}")
    bits, samples = values.get(BITS, (1,)), _one(values, SAMPLES, 1)
    if samples > MOST_SAMPLES:
        raise UnsupportedFile(f"a TIFF of {samples} samples a pixel")
    _check_parts(values, len(content))
    xmp = _bytes(content, tags[XMP], order) if XMP in tags else b""
    orientation = _one(values, ORIENTATION, 0) or orientation_of(xmp=xmp)
    file = _with_directory(content, [tags[number] for number in sorted(tags) if number in KEPT], order)
    # A strip is unpacked beside the picture, at worst all in one, and a tile may stand out.
    part = max(1.0, _tile_area(values) / max(1, width * height)) * max(bits, default=1) / 8 * samples
    picture = 4 if samples > 1 or max(bits, default=1) > SIXTEEN else 2
    upright = orientation if orientation in ORIENTATIONS else 1
    return PictureContents("TIFF", width, height, file, picture + part, upright, frames=2 if following else 1)


def _directory(content: bytes, start: int, order: str) -> tuple[dict[int, Tag], int]:
    """The tags by number, and where the next directory is; 0: nowhere."""
    try:
        (count,) = struct.unpack_from(order + "H", content, start)
        if count > MOST_TAGS:
            raise DamagedFile(f"it has more than {MOST_TAGS:,} tags")
        end = start + 2 + ENTRY * count
        tags = (struct.unpack_from(order + "HHI4s", content, offset) for offset in range(start + 2, end, ENTRY))
        return {tag[0]: tag for tag in tags}, int.from_bytes(content[end : end + 4], ENDIANS[order])
    except struct.error:
        raise DamagedFile("it ends within its directory") from None


def _numbers(content: bytes, tag: Tag, order: str) -> tuple[int, ...]:
    """A tag's value as whole numbers; none where its type is another."""
    number, kind, count, _ = tag
    if count > MOST_VALUES or (number in {STRIPS, STRIP_BYTES, TILES, TILE_BYTES} and count > MOST_PARTS):
        raise DamagedFile(f"it has {count:,} strips, tiles or other values")
    if kind not in NUMBERS:
        return ()
    return struct.unpack(f"{order}{count}{NUMBERS[kind]}", _bytes(content, tag, order))


def _bytes(content: bytes, tag: Tag, order: str) -> bytes:
    """A tag's value, where it lies within the file."""
    _, kind, count, inline = tag
    size = SIZES.get(kind, 1) * count
    if size <= 4:  # noqa: PLR2004 - then the value is where its place would be
        return inline[:size]
    (offset,) = struct.unpack(order + "I", inline)
    if offset + size > len(content):
        raise DamagedFile("a tag's value lies outside it")
    return content[offset : offset + size]


def _one(values: Mapping[int, tuple[int, ...]], number: int, default: int) -> int:
    return (values.get(number) or (default,))[0]


def _check_parts(values: Mapping[int, tuple[int, ...]], size: int) -> None:
    """Refuse strips or tiles that lie outside the file, and those that share bytes: each would be unpacked again."""
    starts = values.get(STRIPS, ()) or values.get(TILES, ())
    sizes = values.get(STRIP_BYTES, ()) or values.get(TILE_BYTES, ())
    if len(starts) != len(sizes) or not starts:
        raise DamagedFile("it does not say where its strips are and how long")
    if sum(sizes) > size or any(start + length > size for start, length in zip(starts, sizes, strict=True)):
        raise DamagedFile("its strips lie outside it")


def _with_directory(content: bytes, tags: list[Tag], order: str) -> bytes:
    """The file with a directory of some tags at its end, and no further one; what they point to stays where it is."""
    entries = b"".join(struct.pack(order + "HHI4s", *tag) for tag in tags)
    start = len(content) + len(content) % 2
    head = content[:4] + struct.pack(order + "I", start)
    return (head + content[8:]).ljust(start, b"\0") + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


def _tile_area(values: Mapping[int, tuple[int, ...]]) -> int:
    return _one(values, TILE_WIDTH, 0) * _one(values, TILE_HEIGHT, 0)
