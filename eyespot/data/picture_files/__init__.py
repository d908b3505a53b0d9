"""Pictures as files: what is read, what each file says before it is decoded, and what it would cost.

A decoder trusts what a file says of itself, and reads much that no pixel needs. So each file is looked through here
first: its format is recognised, its size and its cost are found, and Pillow gets only the part that the pixels of its
first frame are decoded from, with the one decoder that this is for.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from eyespot.data.picture_files import bitmaps, gif, jpeg, png, tiff, webp
from eyespot.data.picture_files.contents import DamagedFile, PictureContents, UnsupportedFile

__all__ = [
    "FORMATS",
    "OTHERS",
    "READ_ENDINGS",
    "SENTENCE",
    "DamagedFile",
    "PictureContents",
    "UnsupportedFile",
    "look_through",
]


@dataclass(frozen=True)
class PictureFormat:
    """A format that is read.

    Attributes:
        name: as it is written in sentences.
        begins: what its files begin with.
        endings: of its files' names.
        stored: looks a file through; raises DamagedFile or UnsupportedFile.
    """

    name: str
    begins: tuple[bytes, ...]
    endings: tuple[str, ...]
    stored: Callable[[bytes], PictureContents]


# The one list of what is opened. Left out is what nobody keeps labelled pictures in, and what cannot be bounded before
# it is decoded (AVIF, HEIC, JPEG 2000), hands its content to a program (EPS) or to any other decoder (IPTC, ICO, ICNS).
FORMATS = (
    PictureFormat("PNG", (png.MAGIC,), (".png", ".apng"), png.stored_png),
    PictureFormat("JPEG", (jpeg.MAGIC,), (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), jpeg.stored_jpeg),
    PictureFormat("WebP", (webp.MAGIC,), (".webp",), webp.stored_webp),
    PictureFormat("GIF", gif.MAGIC, (".gif",), gif.stored_gif),
    PictureFormat("BMP", (bitmaps.BMP,), (".bmp", ".dib"), bitmaps.stored_bmp),
    PictureFormat("TIFF", tiff.MAGIC, (".tif", ".tiff"), tiff.stored_tiff),
    PictureFormat("PPM", bitmaps.PORTABLE, (".ppm", ".pgm", ".pbm", ".pnm"), bitmaps.stored_portable),
)
READ_ENDINGS = frozenset(ending for picture_format in FORMATS for ending in picture_format.endings)
NAMES = [picture_format.name for picture_format in FORMATS]
SENTENCE = f"{', '.join(NAMES[:-1])} and {NAMES[-1]} are read"

# Formats of pictures that are recognised and not read: by the endings of their files' names, and how the files begin.
OTHERS = {
    ".eps": "EPS", ".ps": "PostScript", ".pdf": "PDF", ".svg": "SVG", ".wmf": "WMF", ".emf": "EMF", ".psd": "PSD",
    ".avif": "AVIF", ".heic": "HEIC", ".heif": "HEIC", ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jxl": "JPEG XL",
    ".ico": "ICO", ".icns": "ICNS", ".cur": "CUR", ".tga": "TGA", ".pcx": "PCX", ".qoi": "QOI", ".dds": "DDS",
    ".dng": "DNG", ".nef": "NEF", ".cr2": "CR2", ".arw": "ARW", ".iim": "IPTC",
}  # fmt: skip
_BEGINNINGS = (
    (0, b"%!PS", "EPS"), (0, b"\xc5\xd0\xd3\xc6", "EPS"), (0, b"%PDF", "PDF"), (0, b"8BPS", "PSD"),
    (4, b"ftypavi", "AVIF"), (4, b"ftyphe", "HEIC"), (4, b"ftypmif1", "HEIC"), (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (0, b"\0\0\1\0", "ICO"), (0, b"icns", "ICNS"),
    (0, b"\x1c\x02", "IPTC"), (0, b"\x1c\x03", "IPTC"), (0, b"qoif", "QOI"), (0, b"DDS ", "DDS"), (0, b"<svg", "SVG"),
    (0, b"II+\0", "BigTIFF"), (0, b"MM\0+", "BigTIFF"), (0, b"\xd7\xcd\xc6\x9a", "WMF"), (40, b" EMF", "EMF"),
    (0, b"\x0a\5\1", "PCX"), (0, b"\xb1\x68\xde\x3a", "DCX"), (0, b"\1\xda", "SGI"), (0, b"\x59\xa6\x6a\x95", "SUN"),
    (0, b"SIMPLE", "FITS"), (0, b"/* XPM", "XPM"), (0, b"#define", "XBM"), (0, b"Pf", "PFM"), (0, b"PF", "PFM"),
    (0, b"P7", "PAM"), (0, b"\x89HDF", "HDF5"), (0, b"GRIB", "GRIB"), (0, b"BUFR", "BUFR"), (0, b"\0\0\1\xb3", "MPEG"),
)  # fmt: skip


def look_through(content: bytes) -> PictureContents | None:
    """Return the contents of an image file; None where its format is not recognised.

    Raises:
        DamagedFile: it is truncated or breaks its format.
        UnsupportedFile: it is of a kind that is not read.
    """
    for picture_format in FORMATS:
        if content.startswith(picture_format.begins):
            try:
                return picture_format.stored(content)
            except (struct.error, IndexError):
                raise DamagedFile("it ends within its header") from None
    for offset, begins, name in _BEGINNINGS:
        if content.startswith(begins, offset):
            raise UnsupportedFile(name)
    return None
