"""What a report of a run rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eyespot.data.dataset import Split
from eyespot.models.cost import LayerCost
from eyespot.reporting.card import CardFacts
from eyespot.reporting.map_pictures import ExplainedMistakes
from eyespot.shapes import Float32
from eyespot.training.history import History
from eyespot.training.verdict import Verdict


@dataclass(frozen=True)
class ReportFacts(CardFacts):
    """All that a report rests on: what its model card does, and more.

    Attributes:
        judged: the name of the split that the report judges by.
        recipe: as YAML.
        layers: of the model; None where it cannot be opened.
        probabilities: what the model answers on the judged split `[n, classes]`; None without its pictures.
        notes: what a reader should know before anything else.
        files: sizes in bytes, by name.
        explained: the surest mistakes, explained; None where there are no pictures, or none can be.
    """

    judged: str
    recipe: str
    history: History
    layers: Sequence[LayerCost] | None
    probabilities: Float32[np.ndarray, "n classes"] | None
    notes: Sequence[str]
    files: dict[str, int]
    explained: ExplainedMistakes | None = None

    @property
    def verdict(self) -> Verdict:
        """What the curves say."""
        return Verdict.from_dict(self.metrics["verdict"])

    @property
    def split(self) -> Split | None:
        """The pictures of the split that counts."""
        return self.dataset.splits[self.judged] if self.dataset else None
