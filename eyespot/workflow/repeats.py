"""Trainings of a study, each in a place of its own: finished ones are kept, one that was left half done goes on.

Nothing is removed but a place that is empty: what lies there and cannot go on is refused.
"""

import os
import platform
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.environment import describe_environment
from eyespot.errors import DivergedError, InterruptedRun, RunError
from eyespot.models.cost import multiply_adds
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.studies.progress import ObservedTraining
from eyespot.workflow.resume import differences_in_environment, ending_of, is_under_way
from eyespot.workflow.train import Training, train

RECIPE = "recipe.yaml"
LEFT_AT_ONCE = {"checkpoints", ".lock"}  # in a run's directory before its recipe
STEP_COST = 2e7  # multiply-adds that take as long as what a step costs besides


def train_repeats(recipe: Recipe, number: int) -> Recipe:
    """The recipe of a repeat, counted from 0: another seed, and nothing else."""
    return recipe.with_settings({"training.seed": recipe.training.seed + number})


def check_made_so(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    """Looks at a place before anything is trained.

    Args:
        recipe: the recipe to be trained there, with its dataset, split and model named.

    Raises:
        RunError: a run is there that was made by another recipe or on other images, or that is half done and would
            not go on as it began here; or something that is no run.
    """
    if not (run.path / RECIPE).exists():
        _check_free(run)
        return
    differences = run.recipe.differences_to(recipe)
    if ending_of(run) is None:
        differences += differences_in_environment(run.environment)
    if run.environment.get("dataset_sha256") != dataset.fingerprint:
        differences.append(f"the images or labels of {dataset.name} have changed")
    if differences:
        raise RunError(
            f"The run in {run.path} differs from the requested one: {'; '.join(differences)}. Choose another `output`, "
            "or move the run to another directory."
        )


def _check_free(run: Run) -> None:
    """Raises a RunError where something lies at a place; what a training that was killed at once has left does not."""
    folder = run.path
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir() or {path.name for path in folder.rglob("*")} - LEFT_AT_ONCE:
        raise RunError(f"{folder} is no run, and is left alone: move it away, or choose another `output`.")
    if any(folder.iterdir()) and is_under_way(run):
        raise RunError(f"{folder} is being trained by another process: wait for it, or stop it.")


def cost_of(model: keras.Model, recipe: Recipe, pictures: int) -> float:
    """How long a training takes, in multiply-adds: what tells how much of a study is left."""
    batch = recipe.training.batch_size_for(pictures)
    return recipe.training.epochs * pictures * (multiply_adds(model) + STEP_COST / batch)


def train_or_resume(run: Run, recipe: Recipe, dataset: Dataset, observer: ObservedTraining, study: Path) -> Run:
    """The run at this place: the finished one, one that was left half done and is continued, or a new one.

    One whose loss stopped being a number is finished: it would do so again.

    Raises:
        InterruptedRun: the user stopped it.
        RunError: another process trains it.
    """
    if ending_of(run) is not None:
        return run
    training = None
    with suppress(DivergedError):  # in its first epoch; the run's metrics say so
        training = _train(run, recipe, dataset, observer)
    if training and training.outcome.ending == "interrupted":
        message = f"Stopped. The same command continues; {study} holds the finished trainings."
        raise InterruptedRun(message, training.stopped_by or signal.SIGINT)
    return Run(run.path)


def _train(run: Run, recipe: Recipe, dataset: Dataset, observer: ObservedTraining) -> Training:
    if (run.path / RECIPE).exists():
        if is_under_way(run):
            raise RunError(f"{run.path} is being trained by another process: wait for it, or stop it.")
        return train(dataset, recipe, resume=run.path, verbose=0, observers=(observer,))
    _check_free(run)
    _make_way(run.path)
    return train(dataset, recipe, run.path, verbose=0, observers=(observer,))


def _make_way(path: Path) -> None:
    """Removes the empty directory of a training that was killed before it wrote anything."""
    (path / "checkpoints" / ".lock").unlink(missing_ok=True)
    for folder in (path / "checkpoints", path):
        if folder.exists():
            folder.rmdir()  # which removes no file


def circumstances() -> str:
    """Date, machine, versions, in a line."""
    environment = describe_environment()
    packages = ", ".join(f"{name} {environment['packages'][name]}" for name in ("eyespot", "keras", "torch"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {environment['processor']} ({environment['cores']} cores), "
        f"{platform.system()}, Python {environment['python']}, {packages}"
    )
