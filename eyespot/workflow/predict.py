"""predict: what pictures show."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eyespot.errors import PictureError, UsageError, check_at_least
from eyespot.files import creating, numbered
from eyespot.run import Run, RunLike, open_run

if TYPE_CHECKING:
    from eyespot.inference.pictures import Pictures, PreprocessingSteps
    from eyespot.inference.predictor import Prediction

STEPS_FOLDER = "predictions"


def predict(  # noqa: PLR0913 - each is one option of the command
    run: RunLike,
    pictures: "Pictures",
    top: int = 5,
    on_error: Callable[[PictureError], None] | None = None,
    reject: bool | float = False,
    *,
    as_is: bool = False,
    each: bool = False,
    value_range: tuple[float, float] | None = None,
    show: Callable[[Path], None] | None = None,
) -> "list[Prediction]":
    """Say what pictures show, with the run's ONNX model; import neither Keras nor PyTorch.

    A photograph is first brought to the looks of the training images, where those show one object each on a plain
    background: light made even, ruled lines taken out, the object found, scaled and centred. A picture that looks like
    the training images already is left as it is.

    Args:
        run: a run, or its directory.
        pictures: one or several: a file, a folder (every picture below it, in order), a file's content, a Pillow
            image, or an array `[height, width]` or `[height, width, channels]`; or an array of several. An array of
            the model's own height, width and channels is taken as it is.
        top: how many classes to name.
        on_error: called with the error of each picture that cannot be read, which is then left out; None: it raises.
        reject: answer "none of these" for a picture that is unlike anything the model has seen: True, or the share of
            the validation images that would be rejected (True is 0.01). False: always name a class.
        as_is: only resize pictures, as training did.
        each: every object on a picture gets a prediction, in reading order, not only the most prominent one.
        value_range: the numbers in an array that stand for black and white, as (-1, 1); None: 0 and 255, or 0 and 1
            for fractions up to 1.
        show: have the steps of each picture drawn into the run's `predictions/`; called with each file.

    Raises:
        RunError: the run is missing or half there.
        PictureError: a picture cannot be read, or a folder holds none.
        ModelError: it is to reject, and the run is of before eyespot could.
        UsageError: `reject` does not lie between 0 and 1, `top` is below 1, or a setting has no effect.
        DataError: an array holds no images.

    Example:
        >>> prediction = eyespot.predict("runs/digits-cnn-1", "seven.png")[0]
        >>> prediction.label, prediction.probability
    """
    from eyespot.inference.pictures import named_pictures
    from eyespot.inference.predictor import PredictionList

    if as_is and each:
        raise UsageError("`each=True` has no effect with `as_is=True`, which looks for no objects: leave one out.")
    check_at_least("top", top, 1)
    opened = open_run(run)
    predictor = opened.predictor()
    items = named_pictures(pictures, value_range, on_error)
    on_steps = _drawing(opened, show) if show else None
    predictions = predictor.predict(items, top, on_error, reject, as_is=as_is, each=each, on_steps=on_steps)
    return PredictionList(predictions, items)


def _drawing(run: Run, show: Callable[[Path], None]) -> "Callable[[str, PreprocessingSteps], None]":
    """Draws a picture's steps under a name that is free."""
    from eyespot.figures.dataset import steps_figure
    from eyespot.figures.style import save

    def draw(name: str, steps: "PreprocessingSteps") -> None:
        stem = Path(name).stem if name != "-" else "standard-input"
        for path in numbered(run.path / STEPS_FOLDER / f"{stem}-steps.png"):
            if not os.path.lexists(path):
                with suppress(FileExistsError):  # another process has just taken it
                    show(save(steps_figure(name, steps), path, creating))
                    return

    return draw
