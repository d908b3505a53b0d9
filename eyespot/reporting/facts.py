"""What a report of a run rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyespot.data.dataset import Dataset, Split
from eyespot.models.cost import LayerCost
from eyespot.reporting.map_pictures import ExplainedMistakes
from eyespot.shapes import Float32
from eyespot.training.diagnose import Verdict
from eyespot.training.history import History


@dataclass(frozen=True)
class ReportFacts:
    """All that a report rests on.

    Attributes:
        name: of the run.
        recipe: as YAML.
        settings: the recipe as plain values.
        environment, metrics: what the run's files of these names hold.
        judged: the name of the split that the report judges by.
        class_names: one a class.
        layers: of the model; None where it cannot be opened.
        dataset: the run's pictures; None where they are gone or have changed.
        probabilities: what the model answers on the judged split `[n, classes]`; None without its pictures.
        notes: what a reader should know before anything else.
        files: sizes in bytes, by name.
        explained: the surest mistakes, explained; None where there are no pictures, or none can be.
    """

    name: str
    recipe: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Any]
    history: History
    judged: str
    class_names: tuple[str, ...]
    layers: Sequence[LayerCost] | None
    dataset: Dataset | None
    probabilities: Float32[np.ndarray, "n classes"] | None
    notes: Sequence[str]
    files: dict[str, int]
    explained: ExplainedMistakes | None = None

    @property
    def evaluation(self) -> dict[str, Any]:
        """The figures on the split that counts."""
        found: dict[str, Any] = self.metrics[self.judged]
        return found

    @property
    def verdict(self) -> Verdict:
        """What the curves say."""
        return Verdict(**self.metrics["verdict"])

    @property
    def split(self) -> Split | None:
        """The pictures of the split that counts."""
        return self.dataset.splits[self.judged] if self.dataset else None
