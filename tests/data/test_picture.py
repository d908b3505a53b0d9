import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyespot.data import picture
from eyespot.data.picture import find_pictures, read_picture
from eyespot.errors import PictureError

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
    with pytest.raises(PictureError, match=r"notes\.png is not a picture"):
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
    with pytest.raises(PictureError, match="limit is 64 million"):
        read_picture(bomb(side, side), GREY)


def test_the_limit_is_exact(monkeypatch: pytest.MonkeyPatch):
    """A picture of exactly as many pixels as allowed is read, one more is not."""
    monkeypatch.setattr(picture, "MAX_PIXELS", 24)
    read_picture(encoded(Image.new("L", (6, 4))), GREY)
    with pytest.raises(PictureError, match="limit"):
        read_picture(encoded(Image.new("L", (5, 5))), GREY)


def test_a_folder_gives_its_pictures_in_order(tmp_path: Path):
    """Pictures below a folder are found, sorted, hidden and other files left out."""
    for name in ("b.png", "a.JPG", "sub/c.webp", ".hidden.png", ".git/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find_pictures(tmp_path)] == ["a.JPG", "b.png", "sub/c.webp"]
    assert find_pictures(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_a_folder_without_pictures_is_told(tmp_path: Path):
    """An empty folder is an error, not an empty answer."""
    with pytest.raises(PictureError, match="holds no pictures"):
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


def test_postscript_is_not_run():
    """EPS would be handed to Ghostscript, a program: it is refused."""
    with pytest.raises(PictureError, match="is EPS, which is not read"):
        read_picture(encoded(Image.new("L", (8, 8)), "EPS"), GREY)


def test_a_decoder_that_fails_in_any_way_is_told(monkeypatch: pytest.MonkeyPatch):
    """Crafted files make decoders raise anything; a user sees one sentence."""

    def fail(*_: object) -> None:
        raise AttributeError("no such thing")

    monkeypatch.setattr(picture.ImageOps, "exif_transpose", fail)
    with pytest.raises(PictureError, match="truncated or damaged"):
        read_picture(encoded(Image.new("L", (8, 8))), GREY)
