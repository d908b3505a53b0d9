"""The data of a run: its images, opened again, and what its model has answered (`predictions.parquet`)."""

import csv
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset, Split, with_classes
from eyespot.data.load import Source, from_pair, load
from eyespot.data.split import hold_out_test, split
from eyespot.errors import DataError, RunError
from eyespot.files import SPREADSHEET_ENCODING, replacing, write_csv
from eyespot.run import Run
from eyespot.shapes import Bool, Float32, Int64

FILE = "predictions.parquet"
MISTAKE_COLUMNS = ("file", "row", "label", "prediction", "probability", "probability_of_label")


def pictures_of(run: Run, on: Source | None = None, *, verbose: int = 1) -> tuple[Dataset, list[str]]:
    """The images that a run was trained on, split as they were then, or other images of the same classes.

    Args:
        on: another source; it is brought to the size that the model takes. None: the run's own.
        verbose: as of `load`.

    Returns:
        The dataset, and what a reader should know of it.

    Raises:
        RunError: the run is half there.
        DataError: the images are gone or were never on disk, or have other classes.
    """
    dataset, notes = unsplit_pictures_of(run, on, verbose=verbose)
    recipe = run.recipe
    return dataset if on is not None else split(dataset, recipe.split, recipe.training.seed), notes


def unsplit_pictures_of(run: Run, on: Source | None = None, *, verbose: int = 1) -> tuple[Dataset, list[str]]:
    """Return the same without the validation split, for those who look at the test images only.

    Args:
        verbose: as of `load`.
    """
    recipe, predictor = run.recipe, run.predictor()
    if on is None:
        _check_they_are_there(run)
    height, width, channels = predictor.input_shape
    as_trained = recipe.pictures.model_copy(update={"size": (height, width), "color": channels > 1})
    if isinstance(on, tuple) and not all(name.isdecimal() for name in predictor.class_names):
        loaded = from_pair(on, predictor.class_names)  # whole numbers are those of its classes
    else:
        loaded = load(recipe.dataset if on is None else on, as_trained, own_first=on is not None, verbose=verbose)
    dataset = with_classes(loaded, predictor.class_names, str(run.path))
    notes = []
    if on is None and dataset.fingerprint != run.environment.get("dataset_sha256"):
        notes.append(f"{dataset.name} has changed since the run was trained: these are not the same images.")
    return dataset if on is not None else hold_out_test(dataset, recipe.split), notes


def _check_they_are_there(run: Run) -> None:
    source = run.recipe.dataset
    if not are_kept(run):
        raise DataError(f"{run.path} was trained on arrays ({source}), which are not kept: name others with `on`.")
    if Path(source).is_absolute() and not Path(source).exists():
        raise DataError(f"The images of {run.path} are no longer at {source}: put them back, or name others with `on`.")


def are_kept(run: Run) -> bool:
    """Whether a run's images lie anywhere: arrays do not."""
    return Path(run.recipe.dataset).is_absolute() or run.recipe.dataset in CATALOG


@dataclass(frozen=True)
class StoredPredictions:
    """One model's answers, in the order of the images.

    Attributes:
        labels: what is right, `[n]`.
        probabilities: `[n, classes]`, calibrated.
    """

    labels: Int64[np.ndarray, " n"]
    probabilities: Float32[np.ndarray, "n classes"]

    @property
    def predictions(self) -> Int64[np.ndarray, " n"]:
        """The most probable class of each image."""
        predictions: Int64[np.ndarray, " n"] = self.probabilities.argmax(axis=1)
        return predictions

    @property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Whether each answer is right."""
        correct: Bool[np.ndarray, " n"] = self.predictions == self.labels
        return correct


def write_predictions(
    run: Run, name: str, answers: StoredPredictions, names: tuple[str, ...], folder: str = ""
) -> None:
    """One row an image; rows of the same split written before are replaced, other splits' kept.

    Args:
        name: of the split.
        names: of the classes.
        folder: below the run, ending in a slash.
    """
    columns: dict[str, Any] = {
        "split": [name] * len(answers.labels),
        "row": range(len(answers.labels)),
        "label": [names[label] for label in answers.labels],
        "predict": [names[label] for label in answers.predictions],
        "probability": answers.probabilities.max(axis=1),
        "probabilities": list(answers.probabilities),
    }
    path = run.path / f"{folder}{FILE}"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    with suppress(FileNotFoundError, pa.ArrowInvalid):  # where it is damaged, it is written afresh
        stored = pq.read_table(path)
        table = pa.concat_tables([stored.filter(pc.field("split") != name), table])
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def mistakes_file(run: Run, name: str, folder: str = "") -> Path:
    """Where a split's wrong predictions are listed."""
    return run.path / folder / f"mistakes-{name}.csv"


def write_mistakes(
    path: Path, rows: Int64[np.ndarray, " wrong"], split: Split, answers: StoredPredictions, names: tuple[str, ...]
) -> None:
    """Lists wrong predictions for a spreadsheet.

    Args:
        rows: of the wrong predictions, in the order of the list.
        names: of the classes.
    """
    predictions = answers.predictions
    values = (
        (
            split.files[row] if split.files else "",
            row,
            names[split.labels[row]],
            names[predictions[row]],
            answers.probabilities[row, predictions[row]],
            answers.probabilities[row, split.labels[row]],
        )
        for row in rows
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    mistakes = (dict(zip(MISTAKE_COLUMNS, each, strict=True)) for each in values)
    write_csv(path, MISTAKE_COLUMNS, mistakes, for_spreadsheets=True)


def read_mistakes(path: Path, most: int) -> list[dict[str, str]]:
    """The first rows of such a list, by the names of its columns."""
    with path.open(newline="", encoding=SPREADSHEET_ENCODING) as file:
        return list(islice(csv.DictReader(file), most))


def read_predictions(run: Run, name: str, names: tuple[str, ...]) -> StoredPredictions:
    """The predictions of a run's model on one of its own splits.

    Raises:
        RunError: the file is missing or damaged, or holds no such split.
    """
    path = run.file(FILE)
    try:
        table = pq.read_table(path, filters=pc.field("split") == name).sort_by("row")
        labels = np.array([names.index(label) for label in table["label"].to_pylist()], np.int64)
        values = table["probabilities"].combine_chunks().flatten()
        probabilities = np.asarray(values, np.float32).reshape(len(labels), len(names))
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}). Make it anew with: eyespot evaluate {run.path}") from None
    if not len(labels):
        raise RunError(f"{path} holds no {name} images. Make it anew with: eyespot evaluate {run.path}")
    return StoredPredictions(labels, probabilities)
