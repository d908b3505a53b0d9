"""look: describe a dataset and draw it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyespot.data.dataset import Dataset
from eyespot.data.rows import chunks
from eyespot.data.source import load
from eyespot.reporting.look import draw_look
from eyespot.run import create_run


@dataclass(frozen=True)
class Look:
    """What `look` found.

    Attributes:
        summary: shapes, types, ranges and class counts, as plain values.
        figures: the pictures drawn.
    """

    summary: dict[str, Any]
    figures: list[Path]


def look(source: str | Dataset = "digits", output: str | Path | None = None) -> Look:
    """Describes a dataset and draws it.

    Args:
        source: as `load` takes it.
        output: folder for the figures; None: `runs/look-<dataset>-<n>`.

    Raises:
        DataError: the dataset is missing or malformed.
        RunError: `output` exists.
    """

    dataset = load(source)
    splits = {
        name: {
            "pictures": len(split),
            "shape": list(split.images.shape),
            "dtype": str(split.images.dtype),
            "range": [
                min(int(part.min()) for part in chunks(split.images)),
                max(int(part.max()) for part in chunks(split.images)),
            ],
            "labels_dtype": str(split.labels.dtype),
            "classes": dict(zip(dataset.class_names, dataset.class_counts(split).tolist(), strict=True)),
        }
        for name, split in dataset.splits.items()
    }
    folder = create_run(Path(output) if output else None, f"look-{dataset.name}").path
    return Look({"dataset": dataset.name, "splits": splits}, draw_look(dataset, folder))
