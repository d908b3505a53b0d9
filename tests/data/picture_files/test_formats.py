import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from eyespot.data.picture import open_picture, read_header
from eyespot.data.picture_files import FORMATS, OTHERS, READ_ENDINGS, SENTENCE, UnsupportedFile, look_through
from tests.data.picture_files.hostile import encoded, jpeg

RAMP = Image.fromarray(np.arange(12 * 20 * 3, dtype=np.uint8).reshape(12, 20, 3))
XMP = b'<rdf:Description tiff:Orientation="6"/>'


def exif(orientation: int, order: str = "<") -> bytes:
    """EXIF with tags around the orientation, in either order of bytes."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    tags = [
        (0x010F, 2, 4, b"abc\0"),
        (0x0112, 3, 1, struct.pack(f"{order}HH", orientation, 0)),
        (0x0213, 4, 1, bytes(4)),
    ]
    entries = b"".join(struct.pack(f"{order}HHI4s", *tag) for tag in tags)
    return mark + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)


def upright(content: bytes) -> np.ndarray:
    """As Pillow alone turns a picture upright."""
    with Image.open(io.BytesIO(content)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_orientation_is_followed_in_every_format(kind: str, orientation: int):
    """A picture is turned as Pillow turns it, though Pillow no longer sees what says so; its header knows."""
    stated = Image.Exif()
    stated[0x0112] = orientation
    content = encoded(RAMP, kind, exif=stated)
    expected = upright(content)
    assert np.array_equal(np.asarray(open_picture(content, grey=False)), expected)
    header = read_header(content)
    assert (header.height, header.width) == expected.shape[:2]


@pytest.mark.parametrize("order", "<>")
def test_an_orientation_is_found_wherever_writers_put_it(order: str):
    """In EXIF of either order, in XMP, after a PNG's pixels, and as ImageMagick writes EXIF into a PNG's text."""
    plain, stated = encoded(RAMP), exif(6, order)
    marked = b"Exif\0\0" + stated
    texts, raw = PngInfo(), PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    raw.add_text("Raw profile type exif", f"\nexif\n{len(marked):8d}\n{marked.hex()}\n", zip=True)
    contents = [
        encoded(RAMP, "JPEG", exif=marked), encoded(RAMP, "WEBP", exif=stated), encoded(RAMP, exif=stated),
        encoded(RAMP, "JPEG", xmp=XMP), encoded(RAMP, "WEBP", xmp=XMP), encoded(RAMP, pnginfo=texts),
        encoded(RAMP, pnginfo=raw), plain[:-12] + png_chunk(b"eXIf", stated) + plain[-12:],
    ]  # fmt: skip
    for content in contents:
        assert open_picture(content, grey=False).size == (12, 20)
        assert np.array_equal(np.asarray(open_picture(content, grey=False)), upright(content))


def test_damaged_metadata_are_no_reason_to_refuse_a_picture():
    """EXIF that ends, points outside, or is no EXIF is left aside."""
    for stated in (b"II*\0", b"II*\0\xff\xff\xff\x7f", exif(6)[:20], b"nonsense", exif(99)):
        content = encoded(RAMP, "JPEG", exif=b"Exif\0\0" + stated)
        assert open_picture(content, grey=False).size == RAMP.size


def test_a_thumbnail_within_a_jpeg_is_not_taken_for_it():
    """EXIF may hold another JPEG, whose header of the scan is the same to the byte."""
    thumbnail = encoded(Image.new("RGB", (20, 12), "red"), "JPEG")
    content = encoded(RAMP, "JPEG", exif=b"Exif\0\0" + exif(1) + thumbnail)
    assert np.array_equal(np.asarray(open_picture(content, grey=False)), upright(content))


def test_what_pixels_do_not_need_is_left_out():
    """Pillow gets neither metadata nor further frames, nor what follows a picture."""
    frames = [RAMP, RAMP.rotate(180), RAMP.rotate(90)]
    profile = b"secret" * 100
    texts = PngInfo()
    texts.add_text("Comment", "secret")
    contents = {
        "jpeg": encoded(RAMP, "JPEG", icc_profile=profile, comment=b"secret", exif=b"Exif\0\0" + exif(1) + b"secret"),
        "png": encoded(RAMP, icc_profile=profile, pnginfo=texts) + b"secret",
        "apng": encoded(frames[0], save_all=True, append_images=frames[1:]),
        "gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"secret"),
        "webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], exif=exif(1), icc_profile=profile),
    }
    for name, content in contents.items():
        stored = look_through(content)
        assert stored is not None
        assert b"secret" not in stored.content, name
        with Image.open(io.BytesIO(stored.content)) as opened, Image.open(io.BytesIO(content)) as whole:
            assert getattr(opened, "n_frames", 1) == 1, name
            assert not {"exif", "icc_profile", "comment", "Comment"} & set(opened.info), name
            assert (stored.frames > 1) == (getattr(whole, "n_frames", 1) > 1), name
            assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(whole.convert("RGB"))), name


@pytest.mark.parametrize("packing", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"])
def test_tiffs_without_loss_are_read(packing: str):
    """What scanners and programs for science write, in one strip or many."""
    large = RAMP.resize((300, 500))
    for picture in (RAMP, large, large.convert("L"), large.convert("CMYK")):
        content = encoded(picture, "TIFF", compression=packing)
        assert np.array_equal(np.asarray(open_picture(content, grey=False)), upright(content))


@pytest.mark.parametrize("packing", ["jpeg", "webp", "zstd", "tiff_lzma"])
def test_a_tiff_with_another_decoder_inside_is_not_read(packing: str):
    """TIFF holds pictures of other formats, whose own headers nobody has looked at."""
    try:
        content = encoded(RAMP, "TIFF", compression="lzma" if packing == "tiff_lzma" else packing)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {packing}")
    with pytest.raises(UnsupportedFile, match="a TIFF packed as"):
        look_through(content)


def test_scans_of_a_jpeg_are_counted():
    """A baseline picture has one pass, a progressive one as many as scans, and all its coefficients in memory."""
    baseline, progressive = look_through(jpeg()), look_through(encoded(RAMP, "JPEG", progressive=True, subsampling=0))
    assert baseline is not None
    assert progressive is not None
    assert (baseline.passes, baseline.working) == (1, 1)
    assert 5 <= progressive.passes <= 15
    assert progressive.working == 4 + 2 * 3


def test_the_list_of_formats_is_said_whole():
    """The sentence names each format, and no ending of a file's name is both read and not."""
    assert all(each.name in SENTENCE for each in FORMATS)
    assert not READ_ENDINGS & set(OTHERS)
