"""explain: what a run's model looks at in pictures."""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from eyespot.data.dataset import Split
from eyespot.data.load import Source
from eyespot.errors import DataError, ModelError, PictureError, RunError, UsageError, unknown
from eyespot.explanation.inside import LayerOutput, feature_maps, find_nearest, first_filters
from eyespot.explanation.maps import MAP_METHODS, PictureMaps, explain_images
from eyespot.explanation.network import Network
from eyespot.figures.explanation import ExplanationPanel, Neighbour, explanation_figure, features_figure, filters_figure
from eyespot.figures.style import save as save_figure
from eyespot.files import is_own, numbered, replacing, rewriting
from eyespot.inference.pictures import PictureReader, Pictures, PictureSource, ReadPicture, named_pictures, open_source
from eyespot.inference.predictor import Predictor, top_classes
from eyespot.notebook import card, notes, percent, table, wide_picture
from eyespot.output import console_for
from eyespot.progress_bars import progress_bars
from eyespot.reports.html import figure_uri
from eyespot.run import Run, RunLike, open_run
from eyespot.shapes import Float32, UInt8
from eyespot.workflow.run_data import pictures_of

METHODS = (*MAP_METHODS, "features", "filters", "similar")
TOP = 5
NEIGHBOURS = 8
FOLDER = "explanations"
SHOWN = 3  # figures in a notebook
MOST_SHOWN = 640  # pixels a side of the picture as it was given


@dataclass(frozen=True)
class SimilarImage:
    """A training image that is near to one explained.

    Attributes:
        row: of the training split.
        file: where it came from, if from files.
        label: its class.
        similarity: cosine of the angle between the features, at most 1.
    """

    row: int
    file: str | None
    label: str
    similarity: float


@dataclass(frozen=True)
class ExplainedPicture:
    """Explanation of one picture.

    Attributes:
        file: as it was given.
        label: the class that is explained.
        top: the most probable classes, best first, as (label, probability).
        found: the maps.
        nearest: training images, the nearest first; empty where they were not looked for.
        figures: drawn of it.
        arrays: the file with its maps and feature maps as arrays, where that was asked for.
        note: what a user should know of how the picture was read.
    """

    file: str
    label: str
    top: tuple[tuple[str, float], ...]
    found: PictureMaps = field(repr=False)
    nearest: tuple[SimilarImage, ...]
    figures: tuple[Path, ...]
    arrays: Path | None
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; maps are in the arrays' file."""
        completeness = self.found.completeness
        return {
            "file": self.file,
            "label": self.label,
            "logit": self.found.logit,
            "background": self.found.background.tolist(),
            "top": [{"label": label, "probability": probability} for label, probability in self.top],
            "completeness": asdict(completeness) if completeness else None,
            "nearest": [asdict(near) for near in self.nearest],
            "figures": [str(path) for path in self.figures],
            "arrays": str(self.arrays) if self.arrays else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class Explanations:
    """Result of `explain`.

    Attributes:
        run: the model's run.
        pictures: one entry each.
        filters: the figure of the first layer's weights.
        notes: what was left out, and why.
    """

    run: Run
    pictures: list[ExplainedPicture]
    filters: Path | None
    notes: list[str]

    def __repr__(self) -> str:
        labels = ", ".join(f"{Path(picture.file).name}: {picture.label}" for picture in self.pictures[:SHOWN])
        more = ", …" if len(self.pictures) > SHOWN else ""
        return f"<Explanations of {len(self.pictures)} images by {self.run.path}: {labels}{more}>"

    def _repr_html_(self) -> str:
        """Return the explanations as a notebook shows them: a row for each picture, and the figures of the first."""
        rows = [(one.file, one.top[0][0], percent(one.top[0][1]), one.label) for one in self.pictures]
        drawn = [figure for one in self.pictures[:SHOWN] for figure in one.figures[:1]]
        remarks = [*self.notes, *(f"{one.file}: {one.note}" for one in self.pictures if one.note)]
        uris = [(figure_uri(figure), figure.parent.name) for figure in drawn]
        parts = [
            table(("picture", "prediction", "probability", "explained class"), rows),
            *(wide_picture(uri, f"maps of {name}") for uri, name in uris),
            notes(remarks),
        ]
        return card(self.run.name, "what the model looks at", parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "run": str(self.run.path),
            "pictures": [picture.to_dict() for picture in self.pictures],
            "filters": str(self.filters) if self.filters else None,
            "notes": self.notes,
        }


def explain(  # noqa: PLR0913 - each is one option of the command
    run: RunLike,
    pictures: Pictures,
    *,
    label: str | None = None,
    methods: Sequence[str] | None = None,
    on: Source | None = None,
    as_is: bool = False,
    save: bool = False,
    output: str | Path | None = None,
    on_error: Callable[[PictureError], None] | None = None,
    trust: bool = False,
    value_range: tuple[float, float] | None = None,
    verbose: int = 1,
) -> Explanations:
    """Draw what a run's model looks at in pictures.

    Maps are of the class's logit, before the softmax: where a model is sure, its probability hardly moves. Pictures
    are brought to the model as `predict` does, so that what is explained is what the model sees.

    Args:
        run: a run, or its directory.
        pictures: as `predict` takes them.
        label: the class to explain; None: of each picture, the most probable one.
        methods: some of METHODS; None: all.
        on: where the nearest pictures are looked for: another source, whose training split is taken; None: the run's.
        as_is: only resize pictures, as training did.
        save: write the maps as arrays too, into `arrays.npz`.
        output: the folder in which each picture gets a new one; None: `explanations` in the run. No file of anybody
            else's is written over.
        on_error: called with the error of each picture that cannot be read, which is then left out; None: it raises.
        trust: allow classes of layers that are not Keras's own, as `load_model` does.
        value_range: of arrays, as of `predict`.
        verbose: 0 prints nothing, 1 shows progress on a terminal.

    Raises:
        DataError: an array holds no images.
        UsageError: there is no such class or method, or `on` has no effect.
        RunError: the run is missing or half there, or `output` is a file.
        PictureError: a picture cannot be read, or a folder holds none.
        ModelError: the model cannot be opened, or is not built of layers.

    Example:
        >>> explained = eyespot.explain("runs/digits-cnn-1", "seven.png", methods=["gradcam", "similar"])
        >>> explained.pictures[0].label, explained.pictures[0].figures
    """
    out, opened = console_for(verbose), open_run(run)
    requested = METHODS if methods is None else tuple(dict.fromkeys(methods))
    for method in requested:
        if method not in METHODS:
            raise UsageError(unknown("method", method, METHODS))
    if on is not None and "similar" not in requested:
        raise UsageError("`on` has no effect without the method 'similar', which looks for images there: leave it out.")
    predictor = opened.predictor()
    if label is not None and label not in predictor.class_names:
        raise UsageError(unknown("class", label, predictor.class_names))
    folder = Path(output or opened.path / FOLDER)
    if os.path.lexists(folder) and not folder.is_dir():
        raise RunError(f"{folder} is a file, and is left alone: `output` names a folder.")
    inputs = _read(predictor, pictures, value_range, on_error, as_is=as_is)
    if not inputs:
        return Explanations(opened, [], None, [])
    network = Network(opened.model(trust=trust))
    job = Explainer(opened, predictor, network, requested, folder)
    train = job.training_pictures(on, verbose)
    with progress_bars(console=out) as progress:
        near = job.neighbours(np.stack([item.read.image for item in inputs]), train, progress)
        filters = job.filters()
        task = progress.add_task("Explaining", total=len(inputs))
        explained = []
        for item, nearest in zip(inputs, near, strict=True):
            explained.append(job.explain(item, label, nearest, save=save))
            progress.advance(task)
    return Explanations(opened, explained, filters, list(job.notes))


@dataclass(frozen=True, eq=False)
class PictureToExplain:
    """A picture on its way through.

    Attributes:
        read: as the model takes it.
        shown: as it was given, perhaps smaller, for drawing; `box` is in its pixels.
    """

    read: ReadPicture
    shown: UInt8[np.ndarray, "height width 3"]
    box: tuple[int, int, int, int] | None


def _read(
    predictor: Predictor,
    pictures: Pictures,
    value_range: tuple[float, float] | None,
    on_error: Callable[[PictureError], None] | None,
    *,
    as_is: bool,
) -> list[PictureToExplain]:
    reader = PictureReader(predictor.input_shape, predictor.resize, None if as_is else predictor.appearance, each=False)
    inputs = []
    for name, source in named_pictures(pictures, value_range, on_error):
        inputs += [_given(name, source, read) for read in reader.read([(name, source)], on_error)]
    return inputs


def _given(name: str, source: PictureSource, read: ReadPicture) -> PictureToExplain:
    image = open_source(source, name, grey=False)
    width = image.width
    image.thumbnail((MOST_SHOWN, MOST_SHOWN))
    left, top, right, bottom = (round(side * image.width / width) for side in read.box or (0, 0, 0, 0))
    return PictureToExplain(read, np.asarray(image), (left, top, right, bottom) if read.box else None)


class Explainer:
    """One run's model, and what is wanted of it."""

    def __init__(self, run: Run, predictor: Predictor, network: Network, methods: Sequence[str], folder: Path) -> None:
        self._run, self._predictor, self._network = run, predictor, network
        self._methods, self._folder = methods, folder
        self.notes: dict[str, None] = {}  # each once, in order

    def training_pictures(self, on: Source | None, verbose: int) -> Split | None:
        """The pictures to look for near ones in; None where nobody looks, and, with a note, where they are gone."""
        if "similar" not in self._methods:
            return None
        try:
            dataset, notes = pictures_of(self._run, on, verbose=verbose)
        except DataError as error:
            self.notes[f"The nearest training images are left out: {error}"] = None
            return None
        self.notes |= dict.fromkeys(notes)
        return dataset.train

    def neighbours(
        self, images: np.ndarray, train: Split | None, progress: Progress
    ) -> list[list[tuple[SimilarImage, Neighbour]]]:
        """The training images nearest to each picture; none without training images."""
        if train is None:
            return [[] for _ in images]
        task = progress.add_task("Looking for near images", total=len(train))
        nearest = find_nearest(
            self._predictor.features,
            images,
            train.images,
            NEIGHBOURS,
            lambda done: progress.update(task, completed=done),
        )
        rows = zip(nearest.rows, nearest.similarities, strict=True)
        return [[self._near(train, *pair) for pair in zip(*matches, strict=True)] for matches in rows]

    def filters(self) -> Path | None:
        """The figure of the first layer's weights."""
        if "filters" not in self._methods:
            return None
        try:
            figure = filters_figure(first_filters(self._network))
        except ModelError as error:
            self.notes[f"Filters are left out: {error}"] = None
            return None
        # The same for every picture: an earlier one is written again, anybody else's file is not.
        free_paths = (
            path for path in numbered(self._folder / "filters.png") if not os.path.lexists(path) or is_own(path)
        )
        return save_figure(figure, next(free_paths), rewriting)

    def explain(
        self, given: PictureToExplain, label: str | None, near: list[tuple[SimilarImage, Neighbour]], *, save: bool
    ) -> ExplainedPicture:
        """Finds, draws and writes all of one picture."""
        names, image = self._predictor.class_names, given.read.image
        (probabilities,) = self._predictor.probabilities(image[None])
        top = top_classes(probabilities, names, TOP)
        explained = top[0][0] if label is None else label
        appearance = self._predictor.appearance
        methods = [method for method in self._methods if method in MAP_METHODS]
        level = 255 * appearance.background if appearance and appearance.plain else None
        labels = np.array([names.index(explained)], np.int64)
        result = explain_images(self._network, image[None], labels, methods, level)
        self.notes |= dict.fromkeys(result.notes)
        maps = result.pictures[0]
        folder = self._free_folder(given.read.name)
        panel = ExplanationPanel(
            given.read.name, given.shown, given.box, image, explained, top, maps, [neighbour for _, neighbour in near]
        )
        figures = [save_figure(explanation_figure(panel), folder / "explanation.png")]
        values = feature_maps(self._network, image) if "features" in self._methods else []
        if values:
            figures.append(save_figure(features_figure(given.read.name, values), folder / "features.png"))
        similar_images = tuple(similar for similar, _ in near)
        arrays = (
            _write_arrays(folder / "arrays.npz", image, maps, probabilities, similar_images, values) if save else None
        )
        return ExplainedPicture(
            given.read.name, explained, top, maps, similar_images, tuple(figures), arrays, given.read.note
        )

    def _near(self, train: Split, row: np.int64, similarity: np.float32) -> tuple[SimilarImage, Neighbour]:
        label = self._predictor.class_names[int(train.labels[row])]
        file = train.files[row] if train.files else None
        similar = SimilarImage(int(row), file, label, float(similarity))
        return similar, Neighbour(np.asarray(train.images[int(row)]), label, similar.similarity)

    def _free_folder(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in numbered(self._folder / (Path(name).stem if name != "-" else "standard-input")):
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
        raise AssertionError("numbers do not end")


def _write_arrays(  # noqa: PLR0913, PLR0917 - all that was found
    path: Path,
    image: UInt8[np.ndarray, "height width channels"],
    maps: PictureMaps,
    probabilities: Float32[np.ndarray, " classes"],
    near: Sequence[SimilarImage],
    values: Sequence[LayerOutput],
) -> Path:
    """Writes an `.npz` of numbers alone, which opens without pickle."""
    arrays: dict[str, Any] = {"image": image, "label": np.int64(maps.label), "background": maps.background}
    arrays |= {method.replace("-", "_"): heat_map for method, heat_map in maps.maps.items()}
    arrays["probabilities"] = probabilities
    if near:
        arrays["nearest_rows"] = np.array([neighbour.row for neighbour in near], np.int64)
        arrays["nearest_similarities"] = np.array([neighbour.similarity for neighbour in near], np.float32)
    for index, value in enumerate(values):
        arrays[f"features_{index:02d}_{re.sub(r'[^A-Za-z0-9]+', '_', value.layer)}"] = value.value
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    return path
