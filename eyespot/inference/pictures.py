"""Pictures on their way into a model: opened, and brought to the looks of its training images."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from eyespot.data.in_memory import CHANNELS, array_picture, pixels_of
from eyespot.data.picture import Resize, find_pictures, fit_to_size, open_picture, read_picture
from eyespot.data.pixels import as_pillow
from eyespot.errors import PictureError
from eyespot.preprocessing.appearance import Appearance
from eyespot.preprocessing.pipeline import Box, read_photograph
from eyespot.shapes import Shaped, UInt8


@runtime_checkable
class SupportsArray(Protocol):
    """What NumPy makes an array of: an array itself, a tensor, a column of a table."""

    def __array__(self) -> np.ndarray:
        """Return the array."""


Picture = str | Path | bytes | Image.Image | SupportsArray
Pictures = Picture | Iterable[Picture]
PictureSource = Path | bytes | Image.Image | UInt8[np.ndarray, "height width channels"]
PreprocessingSteps = list[tuple[str, Shaped[np.ndarray, "..."]]]


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """One object on a picture, as the model takes it; see `Prediction` for box and note."""

    name: str
    image: UInt8[np.ndarray, "height width channels"]
    box: Box | None = None
    note: str | None = None


class PictureReader:
    """Reads pictures for a model.

    Args:
        input_shape: (height, width, channels) of the model's pictures.
        resize: how training brought pictures to that size.
        appearance: what its training images look like; None, or one that is not plain: pictures are only resized.
        each: give every object on a picture.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], resize: Resize, appearance: Appearance | None, *, each: bool
    ) -> None:
        self._shape, self._resize, self._each = input_shape, resize, each
        self._appearance = appearance if appearance and appearance.plain else None

    def read(
        self,
        pictures: Iterable[Path | tuple[str, PictureSource]],
        on_error: Callable[[PictureError], None] | None = None,
        on_steps: Callable[[str, PreprocessingSteps], None] | None = None,
    ) -> Iterator[ReadPicture]:
        """Each picture, or each object on it; see `Predictor.predict` for the arguments."""
        for picture in pictures:
            name, source = (str(picture), picture) if isinstance(picture, Path) else picture
            try:
                objects, steps = self._objects(name, source)
            except PictureError as error:
                if on_error is None:
                    raise
                on_error(error)
                continue
            if on_steps:
                on_steps(name, steps)
            yield from objects

    def _objects(self, name: str, source: PictureSource) -> tuple[list[ReadPicture], PreprocessingSteps]:
        if isinstance(source, np.ndarray) and source.shape == self._shape:
            return [ReadPicture(name, source)], [("as it is", source)]
        if not self._appearance:
            image = self._resized(name, source)
            return [ReadPicture(name, image)], [("resized", image)]
        picture = open_source(source, name, grey=self._shape[2] == 1)
        reading = read_photograph(picture, self._appearance, self._shape, self._resize, each=self._each)
        objects = zip(reading.images, reading.boxes, strict=True)
        return [ReadPicture(name, image, box, reading.note) for image, box in objects], reading.steps

    def _resized(self, name: str, source: PictureSource) -> UInt8[np.ndarray, "height width channels"]:
        if isinstance(source, Path | bytes):
            return read_picture(source, self._shape, name, self._resize)
        return fit_to_size(open_source(source, name, grey=self._shape[2] == 1), self._shape, self._resize)


def open_source(source: PictureSource, name: str, *, grey: bool) -> Image.Image:
    """A picture at its own size, as `open_picture` has it."""
    return open_picture(as_pillow(source) if isinstance(source, np.ndarray) else source, name, grey=grey)


def named_pictures(
    pictures: Any,
    value_range: tuple[float, float] | None = None,
    on_error: Callable[[PictureError], None] | None = None,
) -> list[tuple[str, PictureSource]]:
    """Return each picture with its name: the path of a file, "-" for a file's content, else its position as "[0]".

    Args:
        pictures: one or several: paths of files and folders, files' contents, Pillow images, arrays `[height, width]`
            or `[height, width, channels]`; or an array `[n, height, width]` or `[n, height, width, channels]`.
        value_range: the numbers in an array that stand for black and white, as of `pixels_of`.
        on_error: called with the error of each path that leads to no picture; None: it raises.

    Raises:
        DataError: an array holds no images.
        PictureError: there is nothing at a path, or a folder holds no images.
    """
    if isinstance(pictures, str | Path | bytes | Image.Image):
        pictures = [pictures]
    elif hasattr(pictures, "__array__") and np.asarray(pictures).dtype.kind in "biuf":
        array = np.asarray(pictures)
        is_one = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in CHANNELS)  # noqa: PLR2004 - axes
        images = pixels_of(array[np.newaxis] if is_one else array, "The images", value_range)
        return [(f"[{row}]", image) for row, image in enumerate(images)]
    named: list[tuple[str, PictureSource]] = []
    for row, picture in enumerate(pictures):
        if isinstance(picture, str | Path):
            try:
                named += [(str(path), path) for path in find_pictures(Path(picture))]
            except PictureError as error:
                if on_error is None:
                    raise
                on_error(error)
        elif isinstance(picture, bytes):
            named.append(("-", picture))
        elif isinstance(picture, Image.Image):
            named.append((getattr(picture, "filename", "") or f"[{row}]", picture))
        else:
            named.append((f"[{row}]", array_picture(picture, f"Image [{row}]", value_range)))
    return named
