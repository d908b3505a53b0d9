"""From any picture file to a model's input."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from eyespot.data.picture_files import (
    OTHERS,
    READ_ENDINGS,
    SENTENCE,
    DamagedFile,
    PictureContents,
    UnsupportedFile,
    look_through,
)
from eyespot.errors import PictureError, first_line
from eyespot.shapes import UInt8

MAX_PIXELS = 64_000_000  # some 8,000 x 8,000, 256 MB once decoded: more is a mistake or a bomb
MAX_BYTES = 100_000_000
MAX_SIDE = 65_535  # pixels, as JPEG: a longer one is no picture, and resizing it would take gigabytes
MEMORY = 8  # bytes for each pixel of the limit: what decoding may take, or the picture with a converted copy
MAX_SLOW_PIXELS = 500_000  # of what Pillow decodes in Python, some microseconds for each value
PASSES = (
    20  # over as many pixels as the limit; a progressive JPEG has 10 to 18 scans, and most pictures are far smaller
)
PLUGINS = {"WEBP": "PIL.WebPImagePlugin", "TIFF": "PIL.TiffImagePlugin"}  # those that Pillow does not load by itself
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what makes a picture of each EXIF orientation upright
SIDEWAYS = frozenset({5, 6, 7, 8})  # those that swap width and height
BAND = 1_000_000  # pixels that are converted at once where that takes several copies
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
DRAFT_MARGIN = 1.5  # times the size wanted
Resize = Literal["pad", "crop", "squash"]


@dataclass(frozen=True)
class Limits:
    """Limits of an image that is opened: the bytes of its file, and its pixels."""

    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS


def read_picture(
    source: Path | bytes,
    input_shape: tuple[int, int, int],
    where: str | None = None,
    resize: Resize = "squash",
    limits: Limits = Limits(),
) -> UInt8[np.ndarray, "height width channels"]:
    """Open a picture and bring it to a model's height, width and channels.

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
        PictureError: it is missing, not an image, of a format that is not read, truncated, or larger than the limits.
    """
    return read_with_header(source, InputForm(input_shape, resize, limits), where)[0]


@dataclass(frozen=True)
class InputForm:
    """The form that images are brought to: height, width and channels, the way of resizing, and the limits."""

    shape: tuple[int, int, int]
    resize: Resize
    limits: Limits


@dataclass(frozen=True)
class PictureHeader:
    """The header of an image, read before its pixels.

    Attributes:
        width: upright, in pixels; so is `height`.
        grey: its mode has no colours.
        frames: more than one in an animation or a file of several pages; perhaps not all are counted.
    """

    width: int
    height: int
    grey: bool
    frames: int


def read_with_header(
    source: Path | bytes, form: InputForm, where: str | None = None
) -> tuple[UInt8[np.ndarray, "height width channels"], PictureHeader]:
    """Return the pixels as `read_picture` does and the header as `read_header` does; opens the image once."""
    height, width, channels = form.shape
    with _opened(source, where, form.limits) as (opened, stored):
        header = _header(opened, stored)
        if stored.format == "JPEG":
            _draft(opened, (width, height), "L" if channels == 1 else "RGB")
        picture = _plain(opened, "L" if channels == 1 else "RGB")
    return fit_to_size(_upright(picture, stored), form.shape, form.resize), header


@contextmanager
def _opened(source: Path | bytes, where: str | None, limits: Limits) -> Iterator[tuple[Image.Image, PictureContents]]:
    """The picture, its pixels not read yet, and what its file says; damage found later is an error too."""
    name = where or str(source if isinstance(source, Path) else "the image")
    stored = _bounded(_content(source, name, limits), name, limits)
    if stored.format in PLUGINS:
        import_module(PLUGINS[stored.format])
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes (our own limit is stricter) and of damage it can read around (the rest raises).
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(stored.content), formats=(stored.format,)) as opened:
                if opened.size != (stored.width, stored.height):
                    raise PictureError(f"{name} is damaged (two of its headers state different sizes).")
                yield opened, stored
    except PictureError:
        raise
    except MemoryError:
        raise PictureError(f"{name} needs more memory than there is. Make it smaller first.") from None
    except Image.DecompressionBombError:
        raise PictureError(_too_large(name, limits)) from None
    except UnidentifiedImageError:
        raise PictureError(f"{name} is truncated or damaged.") from None
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise any type for damage
        raise PictureError(f"{name} is truncated or damaged ({first_line(error)}).") from None


def _bounded(content: bytes, name: str, limits: Limits) -> PictureContents:
    """Return the contents of a file; raise an error where it is not read or exceeds the limits."""
    try:
        stored = look_through(content)
    except DamagedFile as damage:
        raise PictureError(f"{name} is truncated or damaged ({damage}).") from None
    except UnsupportedFile as kind:
        raise PictureError(f"{name} is {kind}, which is not read: {SENTENCE}.") from None
    if stored is None:
        format_name = OTHERS.get(Path(name).suffix.lower())
        problem = (
            f"is {format_name}, which is not read: {SENTENCE}" if format_name else "is not an image that can be opened"
        )
        raise PictureError(f"{name} {problem}.")
    pixels = stored.width * stored.height
    if not pixels:
        raise PictureError(f"{name} is damaged (it states a size of {stored.width}x{stored.height}).")
    if pixels > limits.pixels:
        raise PictureError(_too_large(name, limits, pixels))
    if max(stored.width, stored.height) > MAX_SIDE:
        raise PictureError(f"{name} is {stored.width}x{stored.height}; the limit of a side is {MAX_SIDE:,} pixels.")
    if stored.slow and pixels > MAX_SLOW_PIXELS:
        limit = f"of its kind of {stored.format} the limit is {MAX_SLOW_PIXELS:,}"
        raise PictureError(f"{name} has {pixels:,} pixels; {limit}. Save it as PNG first.")
    memory, allowed = pixels * stored.working / 1e6, MEMORY * limits.pixels / 1e6
    if memory > allowed:
        reason = f"takes {memory:,.4g} MB to decode; the limit is {allowed:,.4g} MB"
        raise PictureError(f"{name} {reason}. Make it smaller first.")
    if stored.passes * pixels > PASSES * limits.pixels:
        raise PictureError(f"{name} is a JPEG of {stored.passes:,} scans, too many for its size. Save it anew first.")
    return stored


def _too_large(name: str, limits: Limits, pixels: int | None = None) -> str:
    size = f"{pixels:,} pixels" if pixels else "far too many pixels"
    return f"{name} has {size}; the limit is {limits.pixels:,}. Make it smaller first."


def _content(source: Path | bytes, name: str, limits: Limits) -> bytes:
    """A file's bytes, not more than the limit."""
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > limits.bytes:
            raise PictureError(f"{name} has {size:,} bytes; the limit is {limits.bytes:,}.")
        if isinstance(source, Path) and not source.is_dir() and not source.is_file():
            raise PictureError(f"{name} is no regular file.")
        content = source if isinstance(source, bytes) else source.read_bytes()
    except FileNotFoundError:
        raise PictureError(f"There is no file {name}.") from None
    except IsADirectoryError:
        raise PictureError(f"{name} is a folder, not an image.") from None
    except PermissionError:
        raise PictureError(f"{name} may not be read (permission denied).") from None
    except OSError as error:
        raise PictureError(f"{name} cannot be read ({error.strerror or type(error).__name__}).") from None
    if not content:
        raise PictureError(f"{name} is empty.")
    return content


def _header(opened: Image.Image, stored: PictureContents) -> PictureHeader:
    width, height = stored.width, stored.height
    if stored.orientation in SIDEWAYS:
        width, height = height, width
    return PictureHeader(width, height, opened.mode in GREY_MODES, stored.frames)


def _draft(opened: Image.Image, size: tuple[int, int], mode: str) -> None:
    """Set a JPEG to be decoded at a fraction of its size, still larger than the size wanted."""
    reduction = min(opened.width / size[0], opened.height / size[1])
    if reduction >= 2 * DRAFT_MARGIN:
        opened.draft(mode, (int(size[0] * DRAFT_MARGIN), int(size[1] * DRAFT_MARGIN)))


def _plain(picture: Image.Image, mode: str) -> Image.Image:
    """Convert an image of any mode to 8-bit grey or RGB."""
    picture.load()
    if picture.mode == "F" or picture.mode.startswith("I"):
        white = _top(picture)
        return _by_bands(picture, mode, lambda band: _eight_bit(band, white).convert(mode))
    if picture.has_transparency_data:
        return _by_bands(picture, mode, lambda band: _over_white(band).convert(mode))
    return _in_mode(picture, mode)


def _top(picture: Image.Image) -> float:
    """Return the value of white in a greyscale image of more than 8 bits."""
    if picture.mode.startswith("I;16"):
        return 65535.0
    # Of 32 bits no file states the range: the smallest usual one that holds all values.
    highest = float(np.max(picture.getextrema()))
    usual = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
    return next((top for top in usual if highest <= top), highest)


def _by_bands(picture: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image some rows at a time, since the conversion takes several times its memory."""
    converted, rows = Image.new(mode, picture.size), max(1, BAND // picture.width)
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        converted.paste(convert(band), (0, top))
    return converted


def _eight_bit(band: Image.Image, white: float) -> Image.Image:
    """Scale greys of more than 8 bits to 8; Pillow's own conversion clips them to white."""
    values = np.asarray(band, np.float64)
    return Image.fromarray(np.round(np.clip(values / white, 0, 1) * 255).astype(np.uint8))


def _over_white(band: Image.Image) -> Image.Image:
    layered = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Load an image in a mode, without a copy where it has that mode already."""
    picture.load()
    return picture if picture.mode == mode else picture.convert(mode)


def fit_to_size(
    picture: Image.Image, shape: tuple[int, int, int], resize: Resize
) -> UInt8[np.ndarray, "height width channels"]:
    """Return a grey or RGB image at a model's height, width and channels; `resize` as of `read_picture`."""
    height, width, channels = shape
    picture = _in_mode(picture, "L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = _resized(picture, (width, height), resize)
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(shape)


def _resized(picture: Image.Image, size: tuple[int, int], resize: Resize) -> Image.Image:
    """Resize an image to (width, height) with an antialiasing filter."""
    if resize == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if resize == "squash":
        return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner_size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    padded = Image.new(picture.mode, size, _edge_color(picture))
    resized = picture.resize(inner_size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    padded.paste(resized, ((size[0] - inner_size[0]) // 2, (size[1] - inner_size[1]) // 2))
    return padded


def _edge_color(picture: Image.Image) -> int | tuple[int, ...]:
    """The mean colour along the picture's four sides: an estimate of what lies around it."""
    width, height = picture.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    lines = [np.asarray(picture.crop(side)) for side in sides]
    edge = np.concatenate([line.reshape(-1, *line.shape[2:]) for line in lines])
    mean = np.round(edge.mean(axis=0)).astype(int)
    return int(mean) if mean.ndim == 0 else tuple(int(value) for value in mean)


def _upright(picture: Image.Image, stored: PictureContents) -> Image.Image:
    """Turn an image as its EXIF orientation says; most need no turn, and are not copied."""
    turn = TURNS.get(stored.orientation)
    return picture if turn is None else picture.transpose(turn)


def open_picture(source: Path | bytes | Image.Image, where: str | None = None, *, grey: bool) -> Image.Image:
    """A picture at its own size: upright, without transparency, 8-bit grey or RGB.

    Args:
        source: a file, a file's content, or an image that Pillow has opened.
        where: what to call it in an error; by default the path.

    Raises:
        PictureError: as of `read_picture`.
    """
    mode = "L" if grey else "RGB"
    if isinstance(source, Image.Image):
        try:
            return _plain(ImageOps.exif_transpose(source), mode)
        except Exception as error:  # noqa: BLE001 - Pillow reads the file only now, and raises any type for damage
            raise PictureError(f"{where or 'the image'} is truncated or damaged ({first_line(error)}).") from None
    with _opened(source, where, Limits()) as (opened, stored):
        picture = _plain(opened, mode)
    return _upright(picture, stored)


def read_header(
    source: Path | bytes | Image.Image, where: str | None = None, limits: Limits = Limits()
) -> PictureHeader:
    """Size and kind of a picture, without its pixels.

    Args:
        source: a file, a file's content, or an image that Pillow has opened, whose further frames are not counted.

    Raises:
        PictureError: it is missing, not an image, or larger than the limits.
    """
    if isinstance(source, Image.Image):
        try:
            orientation = source.getexif().get(ExifTags.Base.Orientation)
        except Exception as error:  # noqa: BLE001 - for some formats Pillow reads the whole file, as in `open_picture`
            raise PictureError(f"{where or 'the image'} is truncated or damaged ({first_line(error)}).") from None
        width, height = source.size if orientation not in SIDEWAYS else source.size[::-1]
        return PictureHeader(width, height, source.mode in GREY_MODES, 1)
    with _opened(source, where, limits) as (opened, stored):
        return _header(opened, stored)


def find_pictures(path: Path) -> list[Path]:
    """A file itself, or every file below a folder that is named like a picture, in order; hidden ones are left out.

    Those of formats that are not read are among them: whoever opens them learns so.

    Raises:
        PictureError: there is nothing at `path`, or the folder holds no images.
    """
    if not path.is_dir():
        if not path.exists():
            raise PictureError(f"There is no file {path}.")
        return [path]
    endings = READ_ENDINGS | set(OTHERS)
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in endings and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise PictureError(f"{path} holds no images.")
    return files
