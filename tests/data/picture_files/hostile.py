"""Picture files that cost a reader more than they should: each a few bytes or megabytes, made by a few lines."""

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

MEGABYTES = 1_000_000
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n{ } loop\n%%EOF\n"


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def iptc(payload: bytes) -> bytes:
    """An IPTC file of 28x28, whose picture is a file of any format."""

    def record(kind: int, number: int, data: bytes) -> bytes:
        return bytes([0x1C, kind, number]) + struct.pack(">H", len(data)) + data

    side = struct.pack(">H", 28)
    head = record(3, 60, b"\1\0") + record(3, 20, side) + record(3, 30, side) + record(3, 120, b"\5")
    return head + record(8, 10, payload)


def ico(side: int) -> bytes:
    """An icon that says 16x16 and holds a PNG of another size."""
    inside = png(side, side)
    return struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22) + inside


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int = 8, color: int = 0, *, extra: bytes = b"", empty: int = 0) -> bytes:
    """A PNG of zeros: 1 byte stands for 1,000; with chunks before its pixels, and empty chunks among them."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = 1 + width * channels * bits // 8
    packer = zlib.compressobj(9)
    rows = max(1, MEGABYTES // row)
    parts = [packer.compress(bytes(row * min(rows, height - top))) for top in range(0, height, rows)]
    pixels = b"".join([*parts, packer.flush()])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(768)) if color == 3 else b""
    inside = header + extra + palette + chunk(b"IDAT", b"") * empty + chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + inside + chunk(b"IEND", b"")


def png_texts(count: int) -> bytes:
    """A PNG with compressed texts of a megabyte each."""
    text = zlib.compress(b"x" * 1_000_000, 9)
    return png(8, 8, extra=b"".join(chunk(b"zTXt", b"%d\0\0" % number + text) for number in range(count)))


def exif_of_overlapping_tags(bytes_: int, tags: int) -> bytes:
    """EXIF whose every tag has all of it as its value."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + tag, 7, bytes_ - 8, 0) for tag in range(tags))
    return (b"II*\0" + struct.pack("<IH", 8, tags) + entries + b"\0\0\0\0").ljust(bytes_, b"\0")


def jpeg(side: int = 16, segments: bytes = b"", **options: object) -> bytes:
    """A grey JPEG, with segments before its pixels."""
    content = encoded(Image.new("L", (side, side), 128), "JPEG", **options)
    return content[:2] + segments + content[2:]


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    content = jpeg(side, progressive=True)
    first = content.index(b"\xff\xda", content.index(b"\xff\xda") + 2)
    second = content.index(b"\xff", first + 2 + int.from_bytes(content[first + 2 : first + 4], "big"))
    while content[second + 1] == 0:
        second = content.index(b"\xff", second + 2)
    return content[:second] + content[first:second] * (scans - 1) + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    """A lossless WebP that ends after the size of its canvas."""
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    inside = b"WEBPVP8L" + struct.pack("<I", 6) + b"\x2f" + bits + b"\0"
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def webp_canvas(width: int, height: int) -> bytes:
    """A WebP of 8x8 on a canvas of another size."""
    pixels = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inside = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides + pixels
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def gif(width: int, height: int, frames: int = 1, *, left: int = 0, before: bytes = b"", blocks: int = 0) -> bytes:
    """A GIF of small frames, the first after extensions, each with blocks of one byte after its pixels."""
    pixels = b"\2\2\x4c\1" + b"\1\0" * blocks + b"\0"
    frame = b"," + struct.pack("<4HB", left, 0, 1, 1, 0) + pixels
    palette = bytes(range(12))
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + palette + before + frame * frames + b";"


def bmp_rle(width: int, height: int) -> bytes:
    """A BMP in run lengths: two bytes end a row, whatever its length."""
    pixels = b"\0\0" * height + b"\0\1"
    palette = bytes(range(256)) * 4
    start = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + palette + pixels


def tiff(
    width: int,
    height: int,
    packing: int = 1,
    *,
    strips: int = 1,
    pixels: bytes = b"",
    more: tuple[tuple[int, int, int, int], ...] = (),
    overlap: bool = False,
    following: int = 0,
) -> bytes:
    """A grey TIFF of some strips, with further tags; its strips may be the same bytes, and its directory the next."""
    starts = [8 if overlap else 8 + len(pixels) // strips * strip for strip in range(strips)]
    lengths = [len(pixels) if overlap else len(pixels) // strips] * strips
    data = b"II*\0" + struct.pack("<I", 8 + len(pixels) + 8 * strips) + pixels
    places = [len(data), len(data) + 4 * strips] if strips > 1 else [starts[0], lengths[0]]
    data += struct.pack(f"<{2 * strips}I", *starts, *lengths)
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, packing), (262, 3, 1, 1),
        (273, 4, strips, places[0]), (277, 3, 1, 1), (278, 4, 1, -(-height // strips)), (279, 4, strips, places[1]),
        *more,
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return data + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following or 0)


def attacks(size: int) -> dict[str, Callable[[], bytes]]:
    """What a picture of at most some bytes can try."""
    side, empty_deflate = 7_900, b"\0\0\0\xff\xff"
    return {
        "iptc": lambda: iptc(POSTSCRIPT),
        "eps": lambda: POSTSCRIPT,
        "ico": lambda: ico(side),
        "webp": lambda: webp(16_383, 16_383),
        "webp at the limit of pixels": lambda: webp(side, side),
        "webp on a canvas": lambda: webp_canvas(1 << 24, 1 << 24),
        "webp on a canvas at the limit": lambda: webp_canvas(side, side),
        "webp chunks": lambda: webp(8, 8) + b"ABCD\0\0\0\0" * (size // 8),
        "jpeg of scans": lambda: jpeg_of_scans(2_000, size // 20),
        "jpeg of fewer scans": lambda: jpeg_of_scans(side, 200),
        "jpeg segments": lambda: jpeg(segments=b"\xff\xe5\0\2" * (size // 4)),
        "jpeg exif": lambda: jpeg(segments=b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0"
                                  + exif_of_overlapping_tags(65_527, 5_000)),
        "jpeg fill bytes": lambda: jpeg(segments=b"\xff" * size),
        "jpeg junk": lambda: jpeg(segments=b"\0" * size),
        "jpeg no markers": lambda: jpeg(segments=b"\xff\0" * (size // 2)),
        "jpeg restarts": lambda: jpeg(segments=b"\xff\xd0" * (size // 2)),
        "jpeg metadata": lambda: jpeg(segments=(b"\xff\xe2\xff\xff" + bytes(65_533)) * (size // 65_537)),
        "png texts": lambda: png_texts(size // 1_100),
        "png exif": lambda: png(8, 8, extra=chunk(b"eXIf", exif_of_overlapping_tags(size, 20_000))),
        "png profile": lambda: png(8, 8, extra=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(size), 9))),
        "png chunks": lambda: png(8, 8, extra=chunk(b"abCd", b"") * (size // 12)),
        "png empty chunks": lambda: png(8, 8, empty=size // 12),
        "png frames": lambda: png(8, 8, extra=chunk(b"acTL", struct.pack(">II", 1 << 30, 0))),
        "png grey": lambda: png(side, side),
        "png colour": lambda: png(side, side, color=2),
        "png alpha": lambda: png(side, side, color=6),
        "png alpha 16": lambda: png(side, side, 16, 6),
        "png grey 16": lambda: png(side, side, 16, 0),
        "png palette": lambda: png(side, side, color=3, extra=chunk(b"tRNS", bytes(256))),
        "png line": lambda: png(60_000_000, 1),
        "png column": lambda: png(1, 60_000_000),
        "png long": lambda: png(1, 65_535, color=6),
        "gif frames": lambda: gif(8, 8, size // 15),
        "gif offset": lambda: gif(8, 8, left=65_000),
        "gif screen": lambda: gif(65_535, 65_535),
        "gif at the limit": lambda: gif(side, side),
        "gif comments": lambda: gif(8, 8, before=b"!\xfe\1x\0" * (size // 5)),
        "gif blocks": lambda: gif(8, 8, blocks=size // 2),
        "bmp rle": lambda: bmp_rle(60_000, 1_000),
        "bmp rle small": lambda: bmp_rle(500, 1_000),
        "ppm comments": lambda: b"P5 #" + b"x" * size + b"\n8 8 255\n" + bytes(64),
        "ppm spaces": lambda: b"P5" + b" " * size + b"8 8 255\n" + bytes(64),
        "ppm text comments": lambda: b"P2 8 8 255\n" + b"#\n" * (size // 2),
        "ppm text": lambda: b"P3 1000 500 255\n" + b"1 " * 1_500_000,
        "ppm of 7 bits": lambda: b"P5 4000 4000 127\n" + bytes(16_000_000),
        "ppm of 7 bits small": lambda: b"P6 1000 500 127\n" + bytes(1_500_000),
        "tiff loop": lambda: tiff(8, 8, pixels=bytes(64), following=80),
        "tiff tags": lambda: tiff(8, 8, pixels=bytes(size),
                                  more=tuple((40_000 + n, 7, size, 8) for n in range(20_000))),
        "tiff strips": lambda: tiff(8, 60_000, 8, strips=60_000, overlap=True,
                                    pixels=zlib.compress(bytes(8)) + empty_deflate * 100_000),
        "tiff many strips": lambda: tiff(8, 8, strips=size // 8),
        "tiff tile": lambda: tiff(8, 8, 8, pixels=zlib.compress(bytes(64)),
                                  more=((322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 12))),
        "tiff deflate": lambda: tiff(side, side, 8, pixels=zlib.compress(bytes(side * side), 9)),
        "tiff jpeg": lambda: tiff(2_000, 2_000, 7, pixels=jpeg_of_scans(2_000, size // 20)),
        "tiff long": lambda: tiff(1, 65_535, pixels=bytes(65_535)),
    }  # fmt: skip
