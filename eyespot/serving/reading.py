"""Pictures of a request, brought to a model's size."""

import base64
import io
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import numpy as np
from PIL import Image

from eyespot.errors import PictureError
from eyespot.inference.pictures import PictureReader, ReadPicture
from eyespot.inference.predictor import Predictor
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, over_limit
from eyespot.serving.uploads import Upload
from eyespot.shapes import UInt8


@dataclass(frozen=True)
class Deadline:
    """When the work on a request must be done.

    Attributes:
        at: on the monotonic clock, seconds.
        seconds: that it may take.
    """

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds, seconds)

    def check(self) -> None:
        """Raises the refusal once it is over."""
        if time.monotonic() > self.at:
            raise self.refusal()

    def refusal(self) -> Refusal:
        """What is answered then."""
        sentence = f"The work on the request took more than {self.seconds:g} seconds"
        return over_limit(HTTPStatus.GATEWAY_TIMEOUT, "work_seconds", self.seconds, sentence)


def read_uploads(  # noqa: PLR0913, PLR0917 - what is read, for what, and how
    predictor: Predictor,
    found: Sequence[Upload],
    limits: ServerLimits,
    deadline: Deadline,
    as_is: bool = False,
    each: bool = False,
) -> list[ReadPicture]:
    """Each picture, or each object on it, at the model's size.

    Raises:
        Refusal: one cannot be read or has too many pixels, or the time is over.
    """
    looks = None if as_is else predictor.appearance
    reader = PictureReader(predictor.input_shape, predictor.resize, looks, each=each)
    return list(_read(reader, found, limits, deadline))


def _read(
    reader: PictureReader, found: Sequence[Upload], limits: ServerLimits, deadline: Deadline
) -> Iterator[ReadPicture]:
    for index, (name, content) in enumerate(found):
        deadline.check()
        shown = f"Picture {name}" if name == str(index) else name
        check_pixels(content, shown, index, limits)
        try:
            for one in reader.read([(shown, content)]):
                yield ReadPicture(name, one.image, one.box, one.note)
        except PictureError as error:
            raise cannot_read(error, index) from None


def cannot_read(error: PictureError, index: int = 0) -> Refusal:
    """The refusal of a picture that cannot be read; `index` tells which one."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "picture", str(error), members={"picture": index})


def check_pixels(content: bytes, shown: str, index: int, limits: ServerLimits) -> None:
    """Refuses a picture that says it has too many pixels; what is no picture is left to its reader.

    Raises:
        Refusal: it has.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes, and our limit is stricter
            with Image.open(io.BytesIO(content)) as picture:
                pixels = picture.width * picture.height
    except Image.DecompressionBombError:
        pixels = limits.pixels + 1
    except Exception:  # noqa: BLE001 - Pillow raises any type for damage, and the reader tells it
        return
    if pixels > limits.pixels:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        refusal = over_limit(status, "pixels", limits.pixels, f"{shown} has too many pixels")
        refusal.members["picture"] = index
        raise refusal


def as_png(image: UInt8[np.ndarray, "height width channels"]) -> str:
    """Pixels as a PNG, in base64."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
