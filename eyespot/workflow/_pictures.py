"""The pictures of a run, opened again."""

from pathlib import Path

from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset, with_classes
from eyespot.data.source import load
from eyespot.data.split import split
from eyespot.errors import DataError
from eyespot.run import Run


def pictures_of(run: Run, on: str | Path | Dataset | None = None) -> tuple[Dataset, list[str]]:
    """What a run was trained on, split as it was then, or other pictures of the same classes.

    Args:
        on: another source; it is brought to the size that the model takes. None: the run's own.

    Returns:
        The dataset, and what a reader should know of it.

    Raises:
        RunError: the run is half there.
        DataError: the pictures are gone or were never on disk, or have other classes.
    """
    recipe, predictor = run.recipe, run.predictor()
    if on is None:
        _check_they_are_there(run)
    height, width, channels = predictor.input_shape
    as_trained = recipe.pictures.model_copy(update={"size": (height, width), "color": channels > 1})
    loaded = load(recipe.dataset if on is None else on, as_trained, own_first=on is not None)
    dataset = with_classes(loaded, predictor.class_names, str(run.path))
    if on is not None:
        return dataset, []
    notes = []
    if dataset.fingerprint != run.environment.get("dataset_sha256"):
        notes.append(f"{dataset.name} has changed since the run was trained: these are not the same pictures.")
    return split(dataset, recipe.split, recipe.training.seed), notes


def are_kept(run: Run) -> bool:
    """Whether a run's pictures lie anywhere: arrays do not."""
    return Path(run.recipe.dataset).is_absolute() or run.recipe.dataset in CATALOG


def _check_they_are_there(run: Run) -> None:
    source = run.recipe.dataset
    if not are_kept(run):
        raise DataError(f"{run.path} was trained on arrays ({source}), which are not kept: name others with `on`.")
    if Path(source).is_absolute() and not Path(source).exists():
        raise DataError(
            f"The pictures of {run.path} are no longer at {source}: put them back, or name others with --on."
        )
