import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from eyespot.data.picture import Limits, find_pictures, open_picture, read_header, read_picture
from eyespot.errors import PictureError
from tests.data.picture_files import hostile

GREY = (4, 6, 1)
COLOUR = (4, 6, 3)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def test_a_picture_of_the_right_size_keeps_its_pixels():
    """No resizing, no smoothing: what was stored is what the model sees."""
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(read_picture(encoded(Image.fromarray(pixels)), GREY)[..., 0], pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"])
@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_every_mode_is_brought_to_the_models(mode: str, shape: tuple[int, int, int]):
    """Any of Pillow's modes becomes grey or RGB bytes of the model's size; mid-grey stays mid-grey."""
    kind = "PNG" if mode in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"} else "TIFF"
    if mode == "HSV":
        kind = "PNG"
        image = Image.new("L", (12, 8), 128).convert("RGB")
    elif mode in {"I", "I;16"}:
        image = Image.fromarray(np.full((8, 12), 128 * 257, np.uint16)).convert(mode)
    else:
        image = Image.new("RGB", (12, 8), (128, 128, 128)).convert("L" if mode in {"I", "F"} else "RGB")
        image = image.convert(mode) if mode != "LAB" else image
    if mode == "I":
        kind = "TIFF"
    result = read_picture(encoded(image, kind), shape)
    assert result.shape == shape
    assert result.dtype == np.uint8
    if mode != "1":
        assert abs(int(result.mean()) - 128) <= 6


def test_transparency_lies_over_white():
    """A transparent picture is seen as on paper."""
    image = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    assert read_picture(encoded(image), COLOUR).min() == 255
    palette = Image.new("P", (6, 4), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert read_picture(encoded(palette, transparency=0), GREY).min() == 255


def test_exif_orientation_is_followed():
    """A photograph taken sideways is turned upright."""
    pixels = np.zeros((6, 4), np.uint8)
    pixels[0] = 255  # stored on top; orientation 6 means: turn right, so it belongs at the right
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6
    seen = read_picture(encoded(image, "PNG", exif=exif), GREY)[..., 0]
    assert seen[:, -1].min() == 255
    assert seen[:, :-1].max() == 0


def test_of_an_animation_the_first_frame():
    """A GIF is read as its first frame."""
    frames = [Image.new("L", (6, 4), shade) for shade in (200, 10)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_picture(content, GREY).mean() == pytest.approx(200, abs=2)


def test_shrinking_is_smooth():
    """A fine checkerboard becomes grey, not noise."""
    board = (np.indices((64, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = read_picture(encoded(Image.fromarray(board)), GREY)
    assert small.min() > 100
    assert small.max() < 155


def test_every_truncation_is_told(tmp_path: Path):
    """A PNG and a JPEG cut at any of many places are refused by name; never another error."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        whole = encoded(noise, kind)
        path = tmp_path / f"cut.{kind.lower()}"
        for length in range(0, len(whole) * 3 // 4, 7):
            path.write_bytes(whole[:length])
            with pytest.raises(PictureError, match=r"cut\."):
                read_picture(path, GREY)


def test_what_is_no_picture_is_told(tmp_path: Path):
    """Text, a folder and a missing file each get their own sentence."""
    text = tmp_path / "notes.png"
    text.write_text("hello")
    with pytest.raises(PictureError, match=r"notes\.png is not an image"):
        read_picture(text, GREY)
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path, GREY)
    with pytest.raises(PictureError, match="no file"):
        read_picture(tmp_path / "none.png", GREY)


def bomb(width: int, height: int) -> bytes:
    """A few bytes that claim to be a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int):
    """A picture over the limit is refused with the limit, whether or not Pillow itself would."""
    with pytest.raises(PictureError, match="limit is 64,000,000"):
        read_picture(bomb(side, side), GREY)


def test_the_limits_are_exact(tmp_path: Path):
    """A picture of exactly as many pixels or bytes as allowed is read, one more is not."""
    read_picture(encoded(Image.new("L", (6, 4))), GREY, limits=Limits(pixels=24))
    with pytest.raises(PictureError, match="limit"):
        read_picture(encoded(Image.new("L", (5, 5))), GREY, limits=Limits(pixels=24))
    content = encoded(Image.new("L", (6, 4)))
    file = tmp_path / "a.png"
    file.write_bytes(content)
    for source in (content, file):
        read_picture(source, GREY, limits=Limits(bytes=len(content)))
        with pytest.raises(PictureError, match="bytes; the limit"):
            read_picture(source, GREY, limits=Limits(bytes=len(content) - 1))


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (1, 1000), (1000, 1), (27, 28)])
def test_padding_keeps_the_shape_and_the_edge(size: tuple[int, int]):
    """Padded pictures keep their shape, and what is filled up has the colour of their edge."""
    image = Image.new("RGB", size, (200, 100, 50))
    image.paste((0, 0, 0), (size[0] // 2 - size[0] // 4, size[1] // 2 - size[1] // 4, size[0] // 2, size[1] // 2))
    padded = read_picture(encoded(image), (28, 28, 3), resize="pad")
    edge = np.concatenate([padded[0], padded[-1], padded[:, 0], padded[:, -1]])
    assert np.abs(edge.astype(int) - (200, 100, 50)).max() <= 2


def test_cropping_cuts_off_what_stands_out():
    """Of a wide picture the middle is kept, in its own shape."""
    image = Image.new("L", (60, 20), 0)
    image.paste(255, (20, 0, 40, 20))
    assert read_picture(encoded(image), (20, 20, 1), resize="crop").min() == 255
    assert read_picture(encoded(image), (20, 20, 1), resize="squash").min() == 0


def test_a_header_tells_the_size_upright():
    """What is known of a picture before its pixels are read is of the picture turned upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    header = read_header(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif))
    assert (header.width, header.height, header.grey, header.frames) == (20, 30, False, 1)
    frames = [Image.new("L", (8, 8), value) for value in (0, 99)]
    assert read_header(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).frames == 2


def test_a_large_photograph_is_read_alike_by_the_shorter_way():
    """A JPEG decoded at a fraction of its size looks as the same picture stored as PNG does."""
    ramp = np.linspace(0, 255, 800 * 600).reshape(600, 800)
    image = Image.fromarray((128 + 100 * np.sin(ramp)).astype(np.uint8))
    short = read_picture(encoded(image, "JPEG", quality=95), (30, 40, 1)).astype(int)
    assert np.abs(short - read_picture(encoded(image), (30, 40, 1))).max() <= 6


def test_a_folder_gives_its_pictures_in_order(tmp_path: Path):
    """Pictures below a folder are found, sorted, hidden and other files left out."""
    for name in ("b.png", "a.JPG", "sub/c.webp", ".hidden.png", ".git/d.png", "notes.txt", "table.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find_pictures(tmp_path)] == ["a.JPG", "b.png", "sub/c.webp"]
    assert find_pictures(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_a_picture_that_is_not_read_is_found_in_a_folder(tmp_path: Path):
    """It is not passed over: who opens it learns why it is left out."""
    (tmp_path / "a.eps").write_bytes(hostile.POSTSCRIPT)
    (found,) = find_pictures(tmp_path)
    with pytest.raises(PictureError, match=r"a\.eps is EPS, which is not read"):
        read_picture(found, GREY)


def test_a_folder_without_pictures_is_told(tmp_path: Path):
    """An empty folder is an error, not an empty answer."""
    with pytest.raises(PictureError, match="holds no images"):
        find_pictures(tmp_path)


def test_sixteen_bits_are_not_guessed():
    """A dark 16-bit picture stays dark: its range is its type's, not its brightest pixel's."""
    for value in (200, 300):
        dark = encoded(Image.fromarray(np.full((8, 12), value, np.uint16)))
        assert int(read_picture(dark, GREY).max()) <= 1


def test_floats_from_0_to_1_are_not_black():
    """A float picture whose values end at 1 is white at 1."""
    white = encoded(Image.fromarray(np.ones((8, 12), np.float32)), "TIFF")
    assert int(read_picture(white, GREY).min()) == 255


@pytest.mark.parametrize("content", [hostile.POSTSCRIPT, hostile.iptc(hostile.POSTSCRIPT)], ids=["EPS", "IPTC"])
def test_postscript_is_not_run(monkeypatch: pytest.MonkeyPatch, content: bytes):
    """EPS would be handed to Ghostscript, a program, and so would EPS within IPTC: both are refused."""

    def started(*arguments: object, **_: object) -> None:
        pytest.fail(f"a picture started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    for read in (open_grey, read_header, lambda content: read_picture(content, GREY)):
        with pytest.raises(
            PictureError, match=r"is (EPS|IPTC), which is not read: PNG, JPEG, WebP, GIF, BMP, TIFF and"
        ):
            read(content)


def open_grey(content: bytes) -> Image.Image:
    return open_picture(content, grey=True)


WRITTEN_BY_PILLOW = [
    "AVIF",
    "DDS",
    "EPS",
    "ICNS",
    "ICO",
    "JPEG2000",
    "MSP",
    "PCX",
    "PDF",
    "QOI",
    "SGI",
    "TGA",
    "XBM",
]


@pytest.mark.parametrize("kind", WRITTEN_BY_PILLOW)
def test_only_the_formats_of_one_list_are_opened(kind: str, monkeypatch: pytest.MonkeyPatch):
    """A picture of any other format that Pillow knows is refused before Pillow sees it, whatever it is called."""
    mode = "1" if kind in {"MSP", "XBM"} else "RGB"
    try:
        content = encoded(Image.new(mode, (32, 32)), kind)
    except (OSError, KeyError, ValueError):
        pytest.skip(f"this Pillow writes no {kind}")
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    with pytest.raises(PictureError, match=r"which is not read: PNG|is not an image that can be opened"):
        read_picture(content, GREY, "photo.png")


def test_a_format_is_told_from_the_name_where_the_file_does_not_say():
    """A TGA has no beginning of its own."""
    with pytest.raises(PictureError, match=r"photo\.tga is TGA, which is not read: PNG, JPEG, "):
        read_picture(encoded(Image.new("RGB", (32, 32)), "TGA"), GREY, "photo.tga")


def test_no_side_is_endless():
    """A picture of one pixel by 60 million would take gigabytes to be made wider: a side has at most 65,535."""
    assert read_picture(hostile.png(1, 65_535), (28, 28, 3), resize="squash").shape == (28, 28, 3)
    for width, height in ((65_536, 1), (1, 65_536)):
        with pytest.raises(PictureError, match="the limit of a side is 65,535 pixels"):
            read_picture(hostile.png(width, height), GREY)


def test_memory_is_bounded_by_the_limit_of_pixels():
    """Decoding takes at most 8 bytes for each pixel of the limit; that of a WebP takes 20 for each of its own."""
    content = encoded(Image.new("RGB", (20, 20)), "WEBP", lossless=True)
    read_picture(content, GREY, limits=Limits(pixels=1_000))
    with pytest.raises(PictureError, match="MB to decode; the limit is"):
        read_picture(content, GREY, limits=Limits(pixels=999))


def test_scans_are_bounded_by_the_limit_of_pixels():
    """A JPEG of as many scans as make 20 times the pixels of the limit is read, one more is not."""
    content = hostile.jpeg_of_scans(16, 40)
    scans = content.count(b"\xff\xda")
    read_picture(content, GREY, limits=Limits(pixels=-(-256 * scans // 20)))
    with pytest.raises(PictureError, match="scans, too many for its size"):
        read_picture(content, GREY, limits=Limits(pixels=256 * (scans - 1) // 20))


def test_headers_that_disagree_are_told(monkeypatch: pytest.MonkeyPatch):
    """What was checked is what is decoded: where Pillow finds another size, it decodes nothing."""
    content = encoded(Image.new("L", (6, 4)))
    monkeypatch.setattr(Image.Image, "size", property(lambda _: (6, 5)))
    with pytest.raises(PictureError, match="two of its headers state different sizes"):
        read_picture(content, GREY)


def test_what_takes_several_copies_is_done_by_bands(monkeypatch: pytest.MonkeyPatch):
    """Transparency and 16 bits look the same whether a picture is converted at once or three rows at a time."""
    generator = np.random.default_rng(0)
    clear = Image.fromarray(generator.integers(0, 255, (50, 41, 4), np.uint8), "RGBA")
    deep = Image.fromarray(generator.integers(0, 65_535, (50, 41), np.uint16))
    real = Image.fromarray(generator.random((50, 41), np.float32) * 300)
    contents = [encoded(clear), encoded(deep), encoded(real, "TIFF"), encoded(clear.convert("P"), transparency=3)]
    whole = [np.asarray(open_picture(content, grey=False)) for content in contents]
    monkeypatch.setattr("eyespot.data.picture.BAND", 130)
    assert all(
        np.array_equal(np.asarray(open_picture(content, grey=False)), pixels)
        for content, pixels in zip(contents, whole, strict=True)
    )


def test_a_decoder_that_fails_in_any_way_is_told(monkeypatch: pytest.MonkeyPatch):
    """Crafted files make decoders raise anything; a user sees one sentence."""

    def fail(*_: object) -> None:
        raise AttributeError("no such thing")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(PictureError, match="truncated or damaged"):
        read_picture(encoded(Image.new("L", (8, 8))), GREY)
