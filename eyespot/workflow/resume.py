"""Continuing a training that was interrupted: which run, and whether it is still the same training."""

from collections.abc import Mapping
from typing import Any

from eyespot.environment import describe_environment
from eyespot.errors import RunError
from eyespot.files import write_text
from eyespot.recipe.changes import describe_differences
from eyespot.recipe.schema import Recipe, TrainingRecipe
from eyespot.run import ROOT, Run, RunLike, open_run
from eyespot.training.checkpoint import remove_unfinished
from eyespot.workflow.prepare import PreparedTraining

AUTO = "auto"  # instead of a run: the latest unfinished one
TO_GO_ON = {  # what lets a run go on that ended so
    "completed": "give it more epochs, such as `training.epochs=60`",
    "early stopping": "give it more patience, such as `training.patience=20` `accept_changes=True`",
    "diverged": "lower its learning rate, such as `training.learning_rate=0.0001` `accept_changes=True`",
}
PACKAGES = ("eyespot", "keras", "torch", "numpy", "scikit-learn")
MACHINE = ("processor", "device", "torch_threads")


def open_earlier(resume: RunLike | None) -> Run | None:
    """The run that is named, if one is.

    Raises:
        RunError: there is no such run.
    """
    return None if resume is None or resume == AUTO else open_run(resume)


def record(run: Run, prepared: PreparedTraining, *, resumed: bool) -> None:
    """Writes what a training follows and where it happens, before it begins; what is resumed keeps its beginning.

    A recipe that says the same already is left as it is, with the comments that a person may have added.
    """
    environment = describe_environment() | {"dataset_sha256": prepared.fingerprint}
    if resumed:
        remove_unfinished(run.path)
        recorded = run.environment
        environment = recorded | {"resumed": [*recorded.get("resumed", []), environment]}
    recipe = prepared.recipe.dump()
    if not resumed or run.recipe.dump() != recipe:
        write_text(run.path / "recipe.yaml", recipe)
        vars(run).pop("recipe", None)  # what was read before is no longer so
    run.write_json("environment.json", environment)


def unfinished_run(recipe: Recipe) -> Run | None:
    """The latest run under `runs/` of this recipe that was interrupted, and that no process trains now; else None."""
    recipes = sorted(ROOT.glob("*/recipe.yaml"), key=lambda path: path.stat().st_mtime, reverse=True)
    for run in (Run(path.parent) for path in recipes):
        if ending_of(run) is None and not run.recipe.differences_to(recipe) and not is_under_way(run):
            return run
    return None


def ending_of(run: Run) -> str | None:
    """How a run's training ended; None where it was interrupted, or killed."""
    if not (run.path / "metrics.json").exists():
        return None
    ending = run.metrics.get("ending", "completed")
    return None if ending == "interrupted" else str(ending)


def is_under_way(run: Run) -> bool:
    """Whether another process trains the run."""
    try:
        with run.locked():
            return False
    except RunError:
        return True


def check_is_the_same(run: Run, prepared: PreparedTraining, *, accept_changes: bool) -> list[str]:
    """The differences to when the run was begun, where they are accepted.

    More epochs at a constant learning rate are no difference: the result is that of as many at once.

    Raises:
        RunError: something differs and is not accepted, or the run is finished and nothing differs.
    """
    recorded, recipe = run.environment, run.recipe
    is_longer = _is_longer(recipe.training, prepared.recipe.training)
    if is_longer:
        recipe = recipe.with_settings({"training.epochs": prepared.recipe.training.epochs})
    differences = recipe.differences_to(prepared.recipe)
    if recorded.get("dataset_sha256") != prepared.fingerprint:
        differences.append(f"the images or labels of {prepared.dataset.name} have changed")
    differences += differences_in_environment(recorded)
    ending = ending_of(run)
    if differences and not accept_changes:
        raise RunError(
            f"{run.path} cannot continue as it began: {'; '.join(differences)}. Leave the changes out, or "
            "continue with them by `accept_changes=True`."
        )
    if ending and not differences and not (is_longer and ending == "completed"):
        raise RunError(
            f"{run.path} is finished ({ending} after {len(run.history)} epochs): there is nothing to resume. To train "
            f"longer, {TO_GO_ON[ending]}."
        )
    return differences


def _is_longer(before: TrainingRecipe, now: TrainingRecipe) -> bool:
    return now.epochs > before.epochs and now.schedule == before.schedule == "constant"


def differences_in_environment(before: Mapping[str, Any]) -> list[str]:
    """Versions and what of the machine a training depends on, where they are not as a run's environment has them."""
    current = describe_environment()
    versions = describe_differences(before.get("packages") or {}, current["packages"], PACKAGES)
    return versions + describe_differences(before, current, MACHINE)
