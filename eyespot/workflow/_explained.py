"""What `explain` found, as values."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eyespot.explanation.maps import PictureMaps
from eyespot.run import Run


@dataclass(frozen=True)
class NearPicture:
    """A training picture that is near to one explained.

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
    """What was found of one picture.

    Attributes:
        file: as it was given.
        label: the class that is explained.
        top: the most probable classes, best first, as (label, probability).
        found: the maps.
        nearest: training pictures, the nearest first; empty where they were not looked for.
        figures: drawn of it.
        arrays: the file with its maps and feature maps as arrays, where that was asked for.
        note: what a user should know of how the picture was read.
    """

    file: str
    label: str
    top: tuple[tuple[str, float], ...]
    found: PictureMaps
    nearest: tuple[NearPicture, ...]
    figures: tuple[Path, ...]
    arrays: Path | None
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; maps are in the arrays' file."""
        complete = self.found.completeness
        return {
            "file": self.file,
            "label": self.label,
            "logit": self.found.logit,
            "background": self.found.background.tolist(),
            "top": [{"label": label, "probability": probability} for label, probability in self.top],
            "completeness": asdict(complete) if complete else None,
            "nearest": [asdict(near) for near in self.nearest],
            "figures": [str(path) for path in self.figures],
            "arrays": str(self.arrays) if self.arrays else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class Explanations:
    """What `explain` found.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "run": str(self.run.path),
            "pictures": [picture.to_dict() for picture in self.pictures],
            "filters": str(self.filters) if self.filters else None,
            "notes": self.notes,
        }
