"""What is saved of a picture that is corrected."""

from pathlib import Path

import numpy as np

from eyespot.inference.predictor import Predictor
from eyespot.serving.decoder import Job
from eyespot.serving.limits import ServerLimits
from eyespot.serving.reading import Deadline, read_one, read_uploads
from eyespot.serving.uploads import Upload
from eyespot.shapes import UInt8

LONGEST = 1024  # pixels of a side that is saved: more than any of these models takes


def correction(
    predictor: Predictor, found: Upload, limits: ServerLimits, deadline: Deadline, *, as_is: bool
) -> UInt8[np.ndarray, "height width channels"]:
    """What training should see of a picture.

    Where photographs are brought to the looks of the training pictures, that is the object thus brought, unless
    `as_is`; else the picture itself, upright, at most 1,024 pixels a side, without what a camera wrote into its file.

    Raises:
        Refusal: it cannot be read or has too many pixels, or the time is over.
    """
    looks = predictor.appearance
    if looks is not None and looks.plain and not as_is:
        (read,) = read_uploads(predictor, [found], limits, deadline)
        return read.image
    name, content = found
    shown = f"Picture {name}" if name == "0" else Path(name).name
    job = Job(shown, predictor.input_shape, predictor.resize, longest=LONGEST)
    return read_one(job, content, limits, deadline)[0].image
