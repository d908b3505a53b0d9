"""Pictures on their way into a model: opened, and brought to the looks of its training pictures."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eyespot.data.picture import Resize, open_picture, read_picture
from eyespot.errors import PictureError
from eyespot.preprocessing.appearance import Appearance
from eyespot.preprocessing.pipeline import Box, read_photograph
from eyespot.shapes import Shaped, UInt8

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
        appearance: what its training pictures look like; None, or one that is not plain: pictures are only resized.
        each: give every object on a picture.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], resize: Resize, appearance: Appearance | None, *, each: bool
    ) -> None:
        self._shape, self._resize, self._each = input_shape, resize, each
        self._appearance = appearance if appearance and appearance.plain else None

    def read(
        self,
        pictures: Iterable[Path | tuple[str, bytes]],
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

    def _objects(self, name: str, source: Path | bytes) -> tuple[list[ReadPicture], PreprocessingSteps]:
        if not self._appearance:
            image = read_picture(source, self._shape, name, self._resize)
            return [ReadPicture(name, image)], [("resized", image)]
        picture = open_picture(source, name, grey=self._shape[2] == 1)
        reading = read_photograph(picture, self._appearance, self._shape, self._resize, each=self._each)
        objects = zip(reading.images, reading.boxes, strict=True)
        return [ReadPicture(name, image, box, reading.note) for image, box in objects], reading.steps
