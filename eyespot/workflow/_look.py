"""look: describe a dataset and draw it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyespot.data.augment.policy import settled
from eyespot.data.dataset import Dataset
from eyespot.data.source import load
from eyespot.recipe import AugmentationRecipe, Recipe
from eyespot.reporting.look import draw_look
from eyespot.reporting.style import save
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


def look(source: str | Dataset = "digits", output: str | Path | None = None, *, augment: str | None = None) -> Look:
    """Describes a dataset and draws it.

    Args:
        source: as `load` takes it.
        output: folder for the figures; None: `runs/look-<dataset>-<n>`.
        augment: a policy, or `auto`: what it does to training pictures is drawn too.

    Raises:
        RecipeError: there is no such policy.
        DataError: the dataset is missing or malformed.
        RunError: `output` exists.
    """

    recipe = Recipe().with_options({"augment": augment}).augmentation
    dataset = load(source)
    splits = {
        name: {
            "pictures": len(split),
            "shape": list(split.images.shape),
            "dtype": str(split.images.dtype),
            "range": [int(split.images.min()), int(split.images.max())],
            "labels_dtype": str(split.labels.dtype),
            "classes": dict(zip(dataset.class_names, dataset.class_counts(split).tolist(), strict=True)),
        }
        for name, split in dataset.splits.items()
    }
    folder = create_run(Path(output) if output else None, f"look-{dataset.name}").path
    figures = draw_look(dataset, folder)
    if augment is not None:
        figures.append(_draw_augmentation(dataset, settled(recipe, dataset), folder))
    return Look({"dataset": dataset.name, "splits": splits}, figures)


def _draw_augmentation(dataset: Dataset, recipe: AugmentationRecipe, folder: Path) -> Path:
    from eyespot.reporting.augmentation import augmentation_samples  # brings PyTorch

    return save(augmentation_samples(dataset, recipe), folder / "augmentation.png")
