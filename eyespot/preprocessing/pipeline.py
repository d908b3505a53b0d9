"""From a photograph to a model's input: left as it is where it looks like a training image, else isolated objects."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from eyespot.data.picture import Resize, fit_to_size
from eyespot.preprocessing.appearance import Appearance, looks_like_training
from eyespot.shapes import Shaped, UInt8

SAME_SHAPE = 0.02  # by which a picture's ratio of sides may differ from the model's, and still be only resized
NOTHING_FOUND = "No object was found on it; it is read as it is."
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class PhotographReading:
    """The objects of a photograph as model input.

    Attributes:
        images: one an object, uint8 [height, width, channels] at the model's size.
        boxes: where each is on the photograph, (left, top, right, bottom) in its pixels; None: the whole picture.
        note: what a user should know, a sentence; None if all is as usual.
        steps: the picture after each step, with what was done, for `show`.
    """

    images: list[UInt8[np.ndarray, "height width channels"]]
    boxes: Sequence[Box | None]
    note: str | None = None
    steps: list[tuple[str, Shaped[np.ndarray, "..."]]] = field(default_factory=list)


def read_photograph(
    picture: Image.Image,
    appearance: Appearance,
    input_shape: tuple[int, int, int],
    resize: Resize = "pad",
    *,
    each: bool = False,
) -> PhotographReading:
    """Bring a picture to the looks of the training images; one that has them already is left as it is.

    So is one of exactly their size: somebody has prepared it, and it may be of something else.

    Args:
        picture: upright, in grey or RGB.
        appearance: of the training images, which must be plain.
        input_shape: height, width and channels of the model's pictures.
        resize: how a picture is brought to that size on which no object is found.
        each: give every object on it, not only the one it is of.
    """
    unchanged = _as_it_is(picture, appearance, input_shape)
    if unchanged is not None:
        return unchanged

    from eyespot.preprocessing.isolate import isolate_objects  # SciPy, which a picture that is left alone does not need

    if isolated := isolate_objects(picture, appearance, input_shape, each=each):
        return PhotographReading(*isolated)
    return PhotographReading(
        [fit_to_size(picture, input_shape, resize)],
        [None],
        NOTHING_FOUND,
        [("no object was found", np.asarray(picture))],
    )


def _as_it_is(
    picture: Image.Image, appearance: Appearance, input_shape: tuple[int, int, int]
) -> PhotographReading | None:
    """The picture only resized, or inverted, where it then looks like a training image."""
    height, width, _ = input_shape
    if abs(picture.width * height - picture.height * width) > SAME_SHAPE * picture.width * height:
        return None
    pixels = fit_to_size(picture, input_shape, "squash")
    for image, change in ((pixels, "as it is"), (255 - pixels, "inverted")):
        if looks_like_training(image, appearance):
            return PhotographReading([image], [None], None, [(f"looks like the training images {change}", image)])
    if picture.size == (width, height):
        return PhotographReading([pixels], [None], None, [("as large as the training images: left as it is", pixels)])
    return None
