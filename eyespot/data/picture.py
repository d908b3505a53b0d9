"""From any picture file to a model's input."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from eyespot.errors import PictureError
from eyespot.shapes import UInt8

NEEDS_A_PROGRAM = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})  # Pillow hands these on, EPS to Ghostscript
MAX_PIXELS = 64_000_000  # some 8,000 x 8,000, 256 MB once decoded: more is a mistake or a bomb
MAX_BYTES = 100_000_000
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = frozenset({5, 6, 7, 8})  # its values that swap width and height
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
DRAFT_MARGIN = 1.5  # times the size wanted

Resize = Literal["pad", "crop", "squash"]

Image.preinit()  # PNG, JPEG and their like come before all others in the order in which formats are tried


@dataclass(frozen=True)
class Limits:
    """Of what is opened: a file's bytes, and a picture's pixels."""

    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Form:
    """What pictures are brought to: height, width and channels, in which way, and within which limits."""

    shape: tuple[int, int, int]
    resize: Resize
    limits: Limits


@dataclass(frozen=True)
class Header:
    """What a picture says of itself before its pixels are read.

    Attributes:
        width: upright, in pixels; so is `height`.
        grey: its mode has no colours.
        frames: more than one in an animation.
    """

    width: int
    height: int
    grey: bool
    frames: int


def read_picture(
    source: Path | bytes,
    input_shape: tuple[int, int, int],
    where: str | None = None,
    resize: Resize = "squash",
    limits: Limits = Limits(),
) -> UInt8[np.ndarray, "height width channels"]:
    """Opens any picture Pillow knows and brings it to a model's height, width and channels.

    Turned upright by its EXIF orientation, transparency laid over white, 16-bit greys scaled to 8, resized with an
    antialiasing filter. Of an animation, the first frame.

    Args:
        source: a file, or a file's content.
        input_shape: height, width and channels (1: grey, 3: RGB).
        where: what to call it in an error; by default the path.
        resize: `squash` changes the shape; `crop` keeps it and cuts off what stands out; `pad` keeps it and fills up
            with the mean colour of the picture's edge.
        limits: of what is opened.

    Raises:
        PictureError: it is missing, not a picture, truncated, or larger than the limits.
    """
    return read_with_header(source, Form(input_shape, resize, limits), where)[0]


def open_picture(source: Path | bytes, where: str | None = None, *, grey: bool) -> Image.Image:
    """Any picture Pillow knows at its own size: upright, without transparency, 8-bit grey or RGB.

    Raises:
        PictureError: as of `read_picture`.
    """
    with _opened(source, where, Limits()) as opened:
        return _plain(_upright(opened), "L" if grey else "RGB")


def read_with_header(
    source: Path | bytes, form: Form, where: str | None = None
) -> tuple[UInt8[np.ndarray, "height width channels"], Header]:
    """What `read_picture` gives, and what `read_header` does, by opening the picture once."""
    height, width, channels = form.shape
    with _opened(source, where, form.limits) as opened:
        header = _header(opened)
        if opened.format == "JPEG":
            _draft(opened, (width, height), "L" if channels == 1 else "RGB")
        picture = _plain(_upright(opened), "L" if channels == 1 else "RGB")
    return fitted(picture, form.shape, form.resize), header


def fitted(
    picture: Image.Image, shape: tuple[int, int, int], resize: Resize
) -> UInt8[np.ndarray, "height width channels"]:
    """A grey or RGB picture at a model's height, width and channels; `resize` as of `read_picture`."""
    height, width, channels = shape
    picture = _in_mode(picture, "L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = _resized(picture, (width, height), resize)
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(shape)


def read_header(source: Path | bytes, where: str | None = None, limits: Limits = Limits()) -> Header:
    """Size and kind of a picture, without its pixels.

    Raises:
        PictureError: it is missing, not a picture, or larger than the limits.
    """
    with _opened(source, where, limits) as opened:
        return _header(opened)


def _header(opened: Image.Image) -> Header:
    width, height = opened.size
    if opened.getexif().get(ORIENTATION, 1) in SIDEWAYS:
        width, height = height, width
    return Header(width, height, opened.mode in GREY_MODES, getattr(opened, "n_frames", 1))


@contextmanager
def _opened(source: Path | bytes, where: str | None, limits: Limits) -> Iterator[Image.Image]:
    """The picture, its pixels not read yet; what goes wrong while they are is told too."""
    name = where or str(source if isinstance(source, Path) else "the picture")
    with warnings.catch_warnings():
        # Pillow warns of sizes (our own limit is stricter) and of damage it can read around (the rest raises).
        warnings.simplefilter("ignore")
        with _open(source, name, limits) as opened:
            if opened.format in NEEDS_A_PROGRAM:
                raise PictureError(f"{name} is {opened.format}, which is not read: save it as PNG or JPEG first.")
            if opened.width * opened.height > limits.pixels:
                raise PictureError(_too_large(name, limits, opened.width * opened.height))
            try:
                yield opened
            except Exception as error:  # noqa: BLE001 - Pillow's readers raise any type for damage
                raise PictureError(f"{name} is truncated or damaged ({_reason(error)}).") from None


def _open(source: Path | bytes, name: str, limits: Limits) -> Image.Image:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > limits.bytes:
            raise PictureError(f"{name} has {size:,} bytes; the limit is {limits.bytes:,}.")
        if not size:
            raise PictureError(f"{name} is empty.")
        return Image.open(source if isinstance(source, Path) else io.BytesIO(source))
    except FileNotFoundError:
        raise PictureError(f"There is no file {name}.") from None
    except IsADirectoryError:
        raise PictureError(f"{name} is a folder, not a picture.") from None
    except UnidentifiedImageError:
        raise PictureError(f"{name} is not a picture that can be opened.") from None
    except Image.DecompressionBombError:
        raise PictureError(_too_large(name, limits)) from None
    except PermissionError:
        raise PictureError(f"{name} may not be read (permission denied).") from None
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise PictureError(f"{name} is truncated or damaged ({_reason(error)}).") from None


def _draft(opened: Image.Image, size: tuple[int, int], mode: str) -> None:
    """Lets a JPEG be decoded at a fraction of its size, still at least twice as large as what is made of it."""
    smaller = min(opened.width / size[0], opened.height / size[1])
    if smaller >= 2 * DRAFT_MARGIN:
        opened.draft(mode, (int(size[0] * DRAFT_MARGIN), int(size[1] * DRAFT_MARGIN)))


def _resized(picture: Image.Image, size: tuple[int, int], resize: Resize) -> Image.Image:
    """Brought to (width, height) with an antialiasing filter."""
    if resize == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if resize == "squash":
        return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    padded = Image.new(picture.mode, size, _edge_color(picture))
    within = picture.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
    padded.paste(within, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return padded


def _edge_color(picture: Image.Image) -> int | tuple[int, ...]:
    """The mean colour along the picture's four sides: what lies around it, as far as can be told."""
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    mean = np.round(edge.mean(axis=0)).astype(int)
    return int(mean) if mean.ndim == 0 else tuple(int(value) for value in mean)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def find_pictures(path: Path) -> list[Path]:
    """A file itself, or every file below a folder that is named like a picture, in order; hidden ones are left out.

    Raises:
        PictureError: there is nothing at `path`, or the folder holds no pictures.
    """
    if not path.is_dir():
        if not path.exists():
            raise PictureError(f"There is no file {path}.")
        return [path]
    known = Image.registered_extensions()
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in known and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not found:
        raise PictureError(f"{path} holds no pictures.")
    return found


def _too_large(name: str, limits: Limits, pixels: int | None = None) -> str:
    size = f"{pixels:,} pixels" if pixels else "far too many pixels"
    return f"{name} has {size}; the limit is {limits.pixels:,}. Make it smaller first."


def _plain(picture: Image.Image, mode: str) -> Image.Image:
    """8-bit grey or RGB, whatever the picture's own mode."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _in_mode(_sixteen_bit(picture), mode)
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert(mode)
    return _in_mode(picture, mode)


def _upright(opened: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; not copied where that says nothing, as most do."""
    return opened if opened.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(opened)


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Converted, and read from its file, without a copy where it has that mode already."""
    picture.load()
    return picture if picture.mode == mode else picture.convert(mode)


def _sixteen_bit(picture: Image.Image) -> Image.Image:
    """Greys of more than 8 bits: Pillow's own conversion clips them to white."""
    values = np.asarray(picture, np.float64)
    if picture.mode.startswith("I;16"):
        top = 65535.0
    else:  # 32 bits, whose range no file states: the smallest usual one that holds all values
        highest = values.max(initial=0)
        usual = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        top = next((top for top in usual if highest <= top), highest)
    return Image.fromarray(np.round(np.clip(values / top, 0, 1) * 255).astype(np.uint8))
