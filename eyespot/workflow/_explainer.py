"""Explainer: one run's model, and all that is found, drawn and written of each picture."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from eyespot.data.dataset import Dataset, Split
from eyespot.errors import DataError, ModelError
from eyespot.explanation.features import LayerValue, feature_maps
from eyespot.explanation.filters import first_filters
from eyespot.explanation.maps import MAP_METHODS, PictureMaps, explain_images
from eyespot.explanation.network import Network
from eyespot.explanation.similar import nearest
from eyespot.files import is_own, numbered, replacing, rewriting
from eyespot.inference.pictures import ReadPicture
from eyespot.inference.predictor import Predictor
from eyespot.reporting.explanation import Neighbour, PictureDrawn, explanation_figure
from eyespot.reporting.layers import features_figure, filters_figure
from eyespot.reporting.style import save as save_figure
from eyespot.run import Run
from eyespot.shapes import Float32, UInt8
from eyespot.workflow._explained import ExplainedPicture, NearPicture
from eyespot.workflow._pictures import pictures_of

METHODS = (*MAP_METHODS, "features", "filters", "similar")
TOP = 5
NEIGHBOURS = 8


@dataclass(frozen=True, eq=False)
class Given:
    """A picture on its way through.

    Attributes:
        read: as the model takes it.
        shown: as it was given, perhaps smaller, for drawing; `box` is in its pixels.
    """

    read: ReadPicture
    shown: UInt8[np.ndarray, "height width 3"]
    box: tuple[int, int, int, int] | None


class Explainer:
    """One run's model, and what is wanted of it."""

    def __init__(self, run: Run, predictor: Predictor, network: Network, methods: Sequence[str], folder: Path) -> None:
        self._run, self._predictor, self._network = run, predictor, network
        self._methods, self._folder = methods, folder
        self.notes: dict[str, None] = {}  # each once, in order

    def neighbours(
        self, images: np.ndarray, on: str | Path | Dataset | None, progress: Progress
    ) -> list[list[tuple[NearPicture, Neighbour]]]:
        """The training pictures nearest to each picture; none, and a note, where they are gone."""
        if "similar" not in self._methods:
            return [[] for _ in images]
        try:
            train = self._training_pictures(on)
        except DataError as error:
            self.notes[f"The nearest training pictures are left out: {error}"] = None
            return [[] for _ in images]
        task = progress.add_task("Looking for near pictures", total=len(train))
        found = nearest(
            self._predictor.features,
            images,
            train.images,
            NEIGHBOURS,
            lambda done: progress.update(task, completed=done),
        )
        rows = zip(found.rows, found.similarities, strict=True)
        return [[self._near(train, *pair) for pair in zip(*of_one, strict=True)] for of_one in rows]

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
        free = (path for path in numbered(self._folder / "filters.png") if not os.path.lexists(path) or is_own(path))
        return save_figure(figure, next(free), rewriting)

    def explain(
        self, given: Given, label: str | None, near: list[tuple[NearPicture, Neighbour]], *, save: bool
    ) -> ExplainedPicture:
        """Finds, draws and writes all of one picture."""
        names, image = self._predictor.class_names, given.read.image
        (probabilities,) = self._predictor.probabilities(image[None])
        order = np.argsort(-probabilities, kind="stable")[:TOP]
        top = tuple((names[index], float(probabilities[index])) for index in order)
        explained = top[0][0] if label is None else label
        looks = self._predictor.appearance
        methods = [method for method in self._methods if method in MAP_METHODS]
        level = 255 * looks.background if looks and looks.plain else None
        labels = np.array([names.index(explained)], np.int64)
        found = explain_images(self._network, image[None], labels, methods, level)
        self.notes |= dict.fromkeys(found.notes)
        maps = found.pictures[0]
        folder = self._free_folder(given.read.name)
        drawn = PictureDrawn(
            given.read.name, given.shown, given.box, image, explained, top, maps, [shown for _, shown in near]
        )
        figures = [save_figure(explanation_figure(drawn), folder / "explanation.png")]
        values = feature_maps(self._network, image) if "features" in self._methods else []
        if values:
            figures.append(save_figure(features_figure(given.read.name, values), folder / "features.png"))
        nearby = tuple(near_one for near_one, _ in near)
        arrays = _write_arrays(folder / "arrays.npz", image, maps, probabilities, nearby, values) if save else None
        return ExplainedPicture(given.read.name, explained, top, maps, nearby, tuple(figures), arrays, given.read.note)

    def _training_pictures(self, on: str | Path | Dataset | None) -> Split:
        dataset, notes = pictures_of(self._run, on)
        self.notes |= dict.fromkeys(notes)
        return dataset.train

    def _near(self, train: Split, row: np.int64, similarity: np.float32) -> tuple[NearPicture, Neighbour]:
        label = self._predictor.class_names[int(train.labels[row])]
        file = train.files[row] if train.files else None
        told = NearPicture(int(row), file, label, float(similarity))
        return told, Neighbour(np.asarray(train.images[int(row)]), label, told.similarity)

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
    near: Sequence[NearPicture],
    values: Sequence[LayerValue],
) -> Path:
    """Writes an `.npz` of numbers alone, which opens without pickle."""
    arrays: dict[str, Any] = {"image": image, "label": np.int64(maps.label), "background": maps.background}
    arrays |= {method.replace("-", "_"): found for method, found in maps.maps.items()}
    arrays["probabilities"] = probabilities
    if near:
        arrays["nearest_rows"] = np.array([one.row for one in near], np.int64)
        arrays["nearest_similarities"] = np.array([one.similarity for one in near], np.float32)
    for place, value in enumerate(values):
        arrays[f"features_{place:02d}_{re.sub(r'[^A-Za-z0-9]+', '_', value.layer)}"] = value.value
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    return path
