"""What a run's model has answered on a split: `predictions.parquet`."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eyespot.errors import RunError
from eyespot.files import replacing
from eyespot.run import Run
from eyespot.shapes import Bool, Float32, Int64

FILE = "predictions.parquet"


@dataclass(frozen=True)
class Answers:
    """One model's answers, in the order of the pictures.

    Attributes:
        labels: what is right, `[n]`.
        probabilities: `[n, classes]`, calibrated.
    """

    labels: Int64[np.ndarray, " n"]
    probabilities: Float32[np.ndarray, "n classes"]

    @property
    def predictions(self) -> Int64[np.ndarray, " n"]:
        """The most probable class of each picture."""
        predictions: Int64[np.ndarray, " n"] = self.probabilities.argmax(axis=1)
        return predictions

    @property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Whether each answer is right."""
        right: Bool[np.ndarray, " n"] = self.predictions == self.labels
        return right


def write_answers(run: Run, name: str, answers: Answers, names: tuple[str, ...], folder: str = "") -> None:
    """One row a picture; rows of the same split written before are replaced, other splits' kept.

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
        before = pq.read_table(path)
        table = pa.concat_tables([before.filter(pc.field("split") != name), table])
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_answers(run: Run, name: str, names: tuple[str, ...]) -> Answers:
    """What the run's model has answered on one of its own splits.

    Raises:
        RunError: the file is missing or damaged, or holds no such split.
    """
    path = run.file(FILE)
    try:
        table = pq.read_table(path, filters=pc.field("split") == name).sort_by("row")
        labels = np.array([names.index(label) for label in table["label"].to_pylist()], np.int64)
        probabilities = np.array(table["probabilities"].to_pylist(), np.float32).reshape(len(labels), len(names))
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}). Make it anew with: eyespot evaluate {run.path}") from None
    if not len(labels):
        raise RunError(f"{path} holds no {name} pictures. Make it anew with: eyespot evaluate {run.path}")
    return Answers(labels, probabilities)
