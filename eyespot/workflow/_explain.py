"""explain: what a run's model looks at in pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from eyespot.data.dataset import Dataset
from eyespot.data.picture import find_pictures, open_picture
from eyespot.errors import PictureError, RecipeError, RunError, unknown
from eyespot.explanation.network import Network
from eyespot.inference.pictures import PictureReader, ReadPicture
from eyespot.inference.predictor import Predictor
from eyespot.run import Run, open_run
from eyespot.workflow._explained import Explanations
from eyespot.workflow._explainer import METHODS, Explainer, Given

FOLDER = "explanations"
MOST_SHOWN = 640  # pixels a side of the picture as it was given


def explain(  # noqa: PLR0913 - each is one option of the command
    run: str | Path | Run,
    pictures: str | Path | bytes | Sequence[str | Path | bytes],
    *,
    label: str | None = None,
    methods: Sequence[str] | None = None,
    on: str | Path | Dataset | None = None,
    as_is: bool = False,
    save: bool = False,
    output: str | Path | None = None,
    on_error: Callable[[PictureError], None] | None = None,
    trust: bool = False,
    console: Console | None = None,
) -> Explanations:
    """Draws what a run's model looks at in pictures.

    Maps are of the class's logit, before the softmax: where a model is sure, its probability hardly moves. Pictures
    are brought to the model as `predict` does, so that what is explained is what the model sees.

    Args:
        run: a run, or its directory.
        pictures: one or several: a file, a folder (every picture below it, in order), or a picture's bytes.
        label: the class to explain; None: of each picture, the most probable one.
        methods: some of METHODS; None: all.
        on: where the nearest pictures are looked for: another source, whose training split is taken; None: the run's.
        as_is: only resize pictures, as training did.
        save: write the maps as arrays too, into `arrays.npz`.
        output: the folder in which each picture gets a new one; None: `explanations` in the run. No file of anybody
            else's is written over.
        on_error: told of each picture that cannot be read, which is then left out; None: the first one raises.
        trust: allow classes of layers that are not Keras's own, as `load_model` does.
        console: where progress is shown; None: nowhere.

    Raises:
        RecipeError: there is no such class or method.
        RunError: the run is missing or half there, or `output` is a file.
        PictureError: a picture cannot be read, or a folder holds none.
        ModelError: the model cannot be opened, or is not built of layers.
    """
    opened = run if isinstance(run, Run) else open_run(run)
    wanted = METHODS if methods is None else tuple(dict.fromkeys(methods))
    for method in wanted:
        if method not in METHODS:
            raise RecipeError(unknown("method", method, METHODS))
    predictor = opened.predictor()
    if label is not None and label not in predictor.class_names:
        raise RecipeError(unknown("class", label, predictor.class_names))
    folder = Path(output or opened.path / FOLDER)
    if os.path.lexists(folder) and not folder.is_dir():
        raise RunError(f"{folder} is a file, and is left alone: --output names a folder.")
    given = _read(predictor, pictures, on_error, as_is=as_is)
    if not given:
        return Explanations(opened, [], None, [])
    network = Network(opened.model(trust=trust))
    job = Explainer(opened, predictor, network, wanted, folder)
    with Progress(console=console or Console(quiet=True), transient=True) as progress:
        near = job.neighbours(np.stack([one.read.image for one in given]), on, progress)
        filters = job.filters()
        task = progress.add_task("Explaining", total=len(given))
        found = []
        for one, beside in zip(given, near, strict=True):
            found.append(job.explain(one, label, beside, save=save))
            progress.advance(task)
    return Explanations(opened, found, filters, list(job.notes))


def _read(
    predictor: Predictor,
    pictures: str | Path | bytes | Sequence[str | Path | bytes],
    on_error: Callable[[PictureError], None] | None,
    *,
    as_is: bool,
) -> list[Given]:
    reader = PictureReader(predictor.input_shape, predictor.resize, None if as_is else predictor.appearance, each=False)
    found = []
    for picture in [pictures] if isinstance(pictures, str | Path | bytes) else pictures:
        try:
            sources = [("-", picture)] if isinstance(picture, bytes) else find_pictures(Path(picture))
        except PictureError as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        for source in sources:
            name, content = source if isinstance(source, tuple) else (str(source), source)
            found += [_given(name, content, read) for read in reader.read([source], on_error)]
    return found


def _given(name: str, content: Path | bytes, read: ReadPicture) -> Given:
    shown = open_picture(content, name, grey=False)
    width = shown.width
    shown.thumbnail((MOST_SHOWN, MOST_SHOWN))
    left, top, right, bottom = (round(side * shown.width / width) for side in read.box or (0, 0, 0, 0))
    return Given(read, np.asarray(shown), (left, top, right, bottom) if read.box else None)
