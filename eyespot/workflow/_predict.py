"""predict: what pictures show."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eyespot.data.picture import find_pictures
from eyespot.errors import PictureError
from eyespot.run import Run, open_run

if TYPE_CHECKING:
    from eyespot.inference.predictor import Prediction


def predict(
    run: str | Path | Run,
    pictures: str | Path | bytes | Sequence[str | Path | bytes],
    top: int = 5,
    on_error: Callable[[PictureError], None] | None = None,
    reject: bool | float = False,
) -> "list[Prediction]":
    """Says what pictures show, with the run's ONNX model; imports neither Keras nor PyTorch.

    Args:
        run: a run, or its directory.
        pictures: one or several: a file, a folder (every picture below it, in order), or a picture's bytes.
        top: how many classes to name.
        on_error: told of each picture that cannot be read, which is then left out; None: the first one raises.
        reject: answer "none of these" for a picture that is unlike anything the model has seen: True, or the share of
            the validation pictures that would be rejected (True is 0.01). False: always name a class.

    Raises:
        RunError: the run is missing or half there.
        PictureError: a picture cannot be read, or a folder holds none.
        ModelError: it is to reject, and the run is of before eyespot could.
        RecipeError: `reject` does not lie between 0 and 1.
    """
    predictor = (run if isinstance(run, Run) else open_run(run)).predictor()
    items: list[Path | tuple[str, bytes]] = []
    for picture in [pictures] if isinstance(pictures, str | Path | bytes) else pictures:
        if isinstance(picture, bytes):
            items.append(("-", picture))
            continue
        try:
            items.extend(find_pictures(Path(picture)))
        except PictureError as error:
            if on_error is None:
                raise
            on_error(error)
    return predictor.predict(items, top, on_error, reject)
