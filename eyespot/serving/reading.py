"""Pictures of a request, brought to a model's size."""

import base64
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eyespot.data.picture_files import DamagedFile, PictureContents, UnsupportedFile, look_through
from eyespot.errors import PictureError
from eyespot.inference.pictures import ReadPicture
from eyespot.inference.predictor import Predictor
from eyespot.serving import decoder
from eyespot.serving.decoder import Job
from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import Refusal, over_limit
from eyespot.serving.uploads import Upload
from eyespot.shapes import UInt8

if TYPE_CHECKING:
    from eyespot.serving.decoders import Decoders

# What is read in the server's own threads, in some milliseconds; all else is for a process that can be killed.
LITTLE_BYTES = 2_000_000  # of a file
LITTLE_MEMORY = 16_000_000  # bytes: a million pixels, twice as they lie in memory
LITTLE_WORK = 4_000_000  # pixels that a decoder goes over


@dataclass(frozen=True)
class Deadline:
    """When the work on a request must be done.

    Attributes:
        at: on the monotonic clock, seconds.
        seconds: that it may take.
        decoders: what can be ended then; None: pictures are read here, whatever they take.
    """

    at: float
    seconds: float
    decoders: "Decoders | None" = None

    @classmethod
    def after(cls, seconds: float, decoders: "Decoders | None" = None) -> "Deadline":
        """A deadline some seconds from now."""
        return cls(time.monotonic() + seconds, seconds, decoders)

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
    looks = None if as_is or predictor.appearance is None else predictor.appearance.to_dict()
    job = Job("", predictor.input_shape, predictor.resize, looks, each)
    return [
        replace(one, name=name)
        for index, (name, content) in enumerate(found)
        for one in read_one(replace(job, name=_shown(name, index)), content, limits, deadline, index)
    ]


def read_one(job: Job, content: bytes, limits: ServerLimits, deadline: Deadline, index: int = 0) -> list[ReadPicture]:
    """A picture, read here where that takes little, and else in a process that ends with its time.

    Raises:
        Refusal: it cannot be read or has too many pixels, or the time is over.
    """
    deadline.check()
    stored = _looked_through(content, job.name, index, limits)
    try:
        if deadline.decoders is None or stored is None or _takes_little(stored):
            return decoder.read(job, content)
        return deadline.decoders.read(job, content, deadline.at)
    except PictureError as error:
        raise cannot_read(error, index) from None
    except TimeoutError:
        raise deadline.refusal() from None


def _shown(name: str, index: int) -> str:
    """What a picture is called in an answer."""
    return f"Picture {name}" if name == str(index) else name


def _takes_little(stored: PictureContents) -> bool:
    pixels = stored.width * stored.height
    return (
        len(stored.content) <= LITTLE_BYTES
        and pixels * max(stored.working, 2 * 4) <= LITTLE_MEMORY
        and pixels * stored.passes <= LITTLE_WORK
        and not stored.slow
    )


def cannot_read(error: PictureError, index: int = 0) -> Refusal:
    """The refusal of a picture that cannot be read; `index` tells which one."""
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "picture", str(error), members={"picture": index})


def _looked_through(content: bytes, shown: str, index: int, limits: ServerLimits) -> PictureContents | None:
    """What a picture's file says of itself; None where it is no picture, which its reader tells.

    Raises:
        Refusal: it says it has too many pixels.
    """
    try:
        stored = look_through(content)
    except (DamagedFile, UnsupportedFile):
        return None
    if stored is not None and stored.width * stored.height > limits.pixels:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        refusal = over_limit(status, "pixels", limits.pixels, f"{shown} has too many pixels")
        refusal.members["picture"] = index
        raise refusal
    return stored


def as_png(image: UInt8[np.ndarray, "height width channels"]) -> str:
    """Pixels as a PNG, in base64."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
