"""Images and labels that a program holds: arrays, lists, images of Pillow, files' paths or contents."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eyespot.data.picture import Resize, fit_to_size, open_picture, read_header
from eyespot.data.pixels import as_pillow
from eyespot.errors import DataError
from eyespot.shapes import Shaped, UInt8

CHANNELS = (1, 3, 4)
FLAT_RANK, GREY_RANK, COLOR_RANK = 2, 3, 4
BYTE_RANGE, UNIT_RANGE = (0.0, 255.0), (0.0, 1.0)
GREYEST = 6.0  # mean difference between channels, of 255, below which an image is grey: that of a grey JPEG is 0 to 2
LARGEST = 160  # pixels on the longer side: a small classifier learns no more from more, and takes long


def as_images(
    images: Any,
    where: str,
    value_range: tuple[float, float] | None = None,
    shape: tuple[int, int, int] | None = None,
    resize: Resize = "pad",
) -> UInt8[np.ndarray, "n height width channels"]:
    """Return images of one size as pixels 0-255.

    Args:
        images: an array, as of `pixels_of`; or a list of arrays, Pillow images, paths or files' contents, which are
            brought to their commonest size, and to grey where all of them are.
        where: what to call them in an error.
        value_range: the numbers that stand for black and white, as (-1, 1); None: as of `pixels_of`.
        shape: height, width and channels that a list is brought to; None: its commonest size.
        resize: how an image of another size is brought to it.

    Raises:
        DataError: they are no images, or differ in shape without being images.
        PictureError: an image cannot be read.
    """
    _check_kind(images, where)
    items = np.asarray(images) if hasattr(images, "__array__") else images
    if not hasattr(items, "__len__") or getattr(items, "ndim", 1) == 0:
        raise DataError(f"{where}: expected an array or a list of images; received {type(images).__name__}.")
    if not len(items):
        raise DataError(f"{where}: there are no images.")
    if isinstance(items, np.ndarray) and items.dtype.kind not in "OUS":
        return pixels_of(items, where, value_range)
    if any(isinstance(item, str | Path | bytes | Image.Image) for item in items):
        pictures = [picture_of(item, f"{where}[{row}]", value_range) for row, item in enumerate(items)]
        return _of_one_size(pictures, shape, resize)
    arrays = _rows(items, where)
    shapes = Counter(array.shape for array in arrays)
    if len(shapes) == 1:
        return pixels_of(np.stack(arrays), where, value_range)
    pictures = [picture_of(array, f"{where}[{row}]", value_range) for row, array in enumerate(arrays)]
    return _of_one_size(pictures, shape, resize)


def _check_kind(images: Any, where: str) -> None:
    """Raise an error where it is one image, a table, or a sparse array."""
    if hasattr(images, "toarray"):
        raise DataError(f"{where}: expected dense pixels; received a sparse array: give its toarray().")
    if _is_frame(images):
        raise DataError(f"{where}: a table is no list of images: give its column, as table['path'].")
    if isinstance(images, str | Path | bytes | Image.Image):
        raise DataError(f"{where}: expected many images; received one: put it into a list.")


def pixels_of(
    images: Shaped[np.ndarray, "..."], where: str, value_range: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "n height width channels"]:
    """Return an array of images as pixels 0-255, without transparency; a memory map of such pixels stays one.

    Args:
        images: `[n, height, width]`, `[n, height, width, 1|3|4]`, `[n, 1|3, height, width]` or `[n, pixels]` of square
            images; whole numbers 0-255, fractions 0-1, or booleans.
        where: what to call them in an error.
        value_range: the numbers that stand for black and white; None: 0 and 255, or 0 and 1 for fractions up to 1.

    Raises:
        DataError: they are not that.
    """
    images = _four_axes(images, where)
    if images.dtype == bool:
        images = images.astype(np.uint8) * np.uint8(255)
    elif images.dtype != np.uint8 or value_range not in {None, BYTE_RANGE}:
        images = _scaled(images, where, value_range)
    if images.shape[3] == CHANNELS[-1]:
        alpha = images[..., 3:].astype(np.float32) / 255
        images = np.round(images[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return images


def _scaled(
    images: Shaped[np.ndarray, "..."], where: str, value_range: tuple[float, float] | None
) -> UInt8[np.ndarray, "..."]:
    if images.dtype.kind not in "iuf":
        raise DataError(f"{where}: expected numbers as pixels; received {images.dtype}.")
    if not images.size:
        return images.astype(np.uint8)
    low, high = float(images.min()), float(images.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{where}: there are pixels that are NaN or infinite.")
    if value_range is None:
        value_range = UNIT_RANGE if images.dtype.kind == "f" and high <= 1 else BYTE_RANGE
        expected = "expected 0 to 255, or 0 to 1; state any other value_range, as (-1, 1)"
    else:
        expected = f"expected {value_range[0]:g} to {value_range[1]:g}, the value_range"
    black, white = value_range
    if not black < white:
        raise DataError(f"value_range is (black, white), the lower first; received {value_range}.")
    if low < black or high > white:
        raise DataError(f"{where}: pixels go from {low:g} to {high:g}; {expected}.")
    if value_range == BYTE_RANGE:  # as it is, in the precision that it has
        return np.round(images).astype(np.uint8)
    if value_range == UNIT_RANGE:
        return np.round(images * 255.0).astype(np.uint8)
    return np.round((images.astype(np.float64) - black) * (255.0 / (white - black))).astype(np.uint8)


def _four_axes(images: Shaped[np.ndarray, "..."], where: str) -> Shaped[np.ndarray, "n height width channels"]:
    """Return the images as `[n, height, width, channels]`."""
    if images.ndim == FLAT_RANK:
        for channels in (1, 3):
            side = math.isqrt(images.shape[1] // channels)
            if side > 1 and side * side * channels == images.shape[1]:
                return images.reshape(len(images), side, side, channels)
    if images.ndim == GREY_RANK:
        return images[..., np.newaxis]
    if images.ndim == COLOR_RANK and images.shape[3] in CHANNELS:
        return images
    if images.ndim == COLOR_RANK and images.shape[1] in (1, 3):
        return np.moveaxis(images, 1, 3)
    raise DataError(
        f"{where}: expected images as [n, height, width] or [n, height, width, 1 or 3]; received {list(images.shape)}."
    )


def picture_of(picture: Any, where: str, value_range: tuple[float, float] | None = None) -> Path | bytes | Image.Image:
    """Return one image as what `open_picture` takes.

    Args:
        picture: a path, a file's content, a Pillow image, or an array `[height, width]` or `[height, width, 1|3|4]`.
        where: what to call it in an error.
        value_range: of an array, as of `pixels_of`.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(picture, str):
        return Path(picture)
    if isinstance(picture, Path | bytes | Image.Image):
        return picture
    return as_pillow(array_picture(picture, where, value_range))


def array_picture(
    picture: Any, where: str, value_range: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "height width channels"]:
    """Return one image given as an array as pixels 0-255; arguments and errors as of `picture_of`."""
    array = np.asarray(picture)
    if array.ndim not in {FLAT_RANK, GREY_RANK} or array.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: expected a path, a file's content, a Pillow image or an array [height, width, channels]; "
            f"received {type(picture).__name__}{f' {list(array.shape)}' if array.ndim else ''}."
        )
    image: UInt8[np.ndarray, "height width channels"] = pixels_of(array[np.newaxis], where, value_range)[0]
    return image


def common_size(counts: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Return the commonest (height, width), scaled down where it is larger than a small classifier needs."""
    (height, width), _ = counts.most_common(1)[0]
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _of_one_size(
    pictures: Sequence[Path | bytes | Image.Image], shape: tuple[int, int, int] | None, resize: Resize
) -> UInt8[np.ndarray, "n height width channels"]:
    if shape:
        return np.stack([_read(picture, row, shape, resize) for row, picture in enumerate(pictures)])
    headers = [read_header(picture, _name(picture, row)) for row, picture in enumerate(pictures)]
    height, width = common_size(Counter((header.height, header.width) for header in headers))
    if not all(header.grey for header in headers):  # those stored in colour may be grey all the same
        colors = _of_one_size(pictures, (height, width, 3), resize)
        if any(np.ptp(image.astype(np.int16), axis=2).mean() > GREYEST for image in colors):
            return colors
    return _of_one_size(pictures, (height, width, 1), resize)


def _read(
    picture: Path | bytes | Image.Image, row: int, shape: tuple[int, int, int], resize: Resize
) -> UInt8[np.ndarray, "height width channels"]:
    return fit_to_size(open_picture(picture, _name(picture, row), grey=shape[2] == 1), shape, resize)


def _name(picture: Path | bytes | Image.Image, row: int) -> str:
    return str(picture) if isinstance(picture, Path) else f"image {row}"


def _rows(items: Iterable[Any], where: str) -> list[Shaped[np.ndarray, "..."]]:
    try:
        return [np.asarray(item) for item in items]
    except ValueError:
        raise DataError(f"{where}: expected images as arrays; their rows differ in length.") from None


def _is_frame(value: Any) -> bool:
    """Whether it is a table of pandas or Polars, without importing either."""
    return hasattr(value, "columns") and (hasattr(value, "iloc") or hasattr(value, "to_dicts"))


def label_names(labels: Any, where: str, class_names: Sequence[str] | None) -> list[str | None]:
    """Return the class name of each row; None where it has no label.

    Args:
        labels: whole numbers, text, bytes or one-hot rows: an array, a list, or a column of a table.
        where: what to call them in an error.
        class_names: what whole numbers stand for.

    Raises:
        DataError: they are not that.
    """
    labels = _plain_labels(np.asarray(labels), where)
    if labels.ndim == FLAT_RANK and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == FLAT_RANK and labels.dtype.kind in "iufb" and _is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(f"{where}: expected a label for each image; received labels of shape {list(labels.shape)}.")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "U":
        return [text.strip() or None for text in labels.tolist()]
    if labels.dtype.kind not in "iufb":
        raise DataError(f"{where}: expected whole numbers or text as labels; received {labels.dtype}.")
    missing = ~np.isfinite(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), bool)
    numbers = np.where(missing, 0, labels)
    if (numbers != np.round(numbers)).any():
        raise DataError(
            f"{where}: labels must be whole numbers; received {numbers[numbers != np.round(numbers)][0]:g}."
        )
    if class_names and len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(class_names):
        raise DataError(
            f"{where}: labels go from {numbers.min():g} to {numbers.max():g}, for {len(class_names)} names."
        )
    texts = [class_names[int(value)] if class_names else str(int(value)) for value in numbers]
    return [None if is_missing else text for text, is_missing in zip(texts, missing.tolist(), strict=True)]


def _is_one_hot(labels: Shaped[np.ndarray, "n classes"]) -> bool:
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _plain_labels(labels: Shaped[np.ndarray, "..."], where: str) -> Shaped[np.ndarray, "..."]:
    """Return labels held as Python objects, as tables hold text and categories, as text or numbers."""
    if labels.dtype.kind not in "OT":
        return labels
    values = ["" if _is_missing(value) else value for value in labels.ravel().tolist()]
    given = [value for value in values if value != ""]
    if all(isinstance(value, str) for value in given):
        return np.array(values, np.str_).reshape(labels.shape)
    if all(isinstance(value, bytes) for value in given):
        return np.array([value or b"" for value in values], np.bytes_).reshape(labels.shape)
    if all(isinstance(value, int | float | np.integer | np.floating) for value in given):
        return np.array([np.nan if isinstance(value, str) else value for value in values], np.float64)
    kinds = sorted({type(value).__name__ for value in given})
    raise DataError(f"{where}: labels must be of one type, whole numbers or text; received {' and '.join(kinds)}.")


def _is_missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in {"NAType", "NaTType"}  # noqa: PLR0124 - NaN


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names sorted: by value where all are whole numbers, else as text."""
    unique = set(names)
    numbers = all(name.isdecimal() for name in unique)
    return tuple(sorted(unique, key=(lambda name: (int(name), name)) if numbers else (lambda name: name)))
