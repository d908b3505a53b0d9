"""From any picture file to a model's input."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from eyespot.errors import PictureError
from eyespot.shapes import UInt8

NEEDS_A_PROGRAM = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})  # Pillow hands these on, EPS to Ghostscript
MAX_PIXELS = 64_000_000  # some 8,000 x 8,000, 256 MB once decoded: more is a mistake or a bomb


def read_picture(
    source: Path | bytes, input_shape: tuple[int, int, int], where: str | None = None
) -> UInt8[np.ndarray, "height width channels"]:
    """Opens any picture Pillow knows and brings it to a model's height, width and channels.

    Turned upright by its EXIF orientation, transparency laid over white, 16-bit greys scaled to 8, resized with an
    antialiasing filter to exactly the model's size (the shape is not kept). Of an animation, the first frame.

    Args:
        source: a file, or a file's content.
        input_shape: height, width and channels (1: grey, 3: RGB).
        where: what to call it in an error; by default the path.

    Raises:
        PictureError: it is missing, not a picture, truncated, or larger than MAX_PIXELS.
    """
    height, width, channels = input_shape
    picture = open_picture(source, where, grey=channels == 1)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


def open_picture(source: Path | bytes, where: str | None = None, *, grey: bool) -> Image.Image:
    """Opens any picture Pillow knows, at its own size: upright, without transparency, 8-bit grey or RGB.

    Args:
        source: a file, or a file's content.
        where: what to call it in an error; by default the path.
        grey: grey, not RGB.

    Raises:
        PictureError: it is missing, not a picture, truncated, or larger than MAX_PIXELS.
    """
    name = where or str(source if isinstance(source, Path) else "the picture")
    try:
        return _decode(source if isinstance(source, Path) else io.BytesIO(source), name, "L" if grey else "RGB")
    except FileNotFoundError:
        raise PictureError(f"There is no file {name}.") from None
    except IsADirectoryError:
        raise PictureError(f"{name} is a folder, not a picture.") from None
    except UnidentifiedImageError:
        raise PictureError(f"{name} is not a picture that can be opened.") from None
    except Image.DecompressionBombError:
        raise PictureError(_too_large(name)) from None
    except PermissionError:
        raise PictureError(f"{name} may not be read (permission denied).") from None
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise any type for a file that contradicts itself
        raise PictureError(f"{name} is truncated or damaged ({error}).") from None


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


def _decode(source: Path | io.BytesIO, name: str, mode: str) -> Image.Image:
    """The picture upright, in 8-bit grey (L) or RGB."""
    with warnings.catch_warnings():
        # Pillow warns of sizes (our own limit is stricter) and of damage it can read around (the rest raises).
        warnings.simplefilter("ignore")
        with Image.open(source) as opened:
            if opened.format in NEEDS_A_PROGRAM:
                raise PictureError(f"{name} is {opened.format}, which is not read: save it as PNG or JPEG first.")
            if opened.width * opened.height > MAX_PIXELS:
                raise PictureError(_too_large(name, opened.width * opened.height))
            return _plain(ImageOps.exif_transpose(opened), mode)


def _too_large(name: str, pixels: int | None = None) -> str:
    size = f"{pixels / 1e6:,.0f} million pixels" if pixels else "far too many pixels"
    return f"{name} has {size}; the limit is {MAX_PIXELS / 1e6:.0f} million. Make it smaller first."


def _plain(picture: Image.Image, mode: str) -> Image.Image:
    """8-bit grey or RGB, whatever the picture's own mode."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _sixteen_bit(picture).convert(mode)
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert(mode)
    return picture.convert(mode)


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
