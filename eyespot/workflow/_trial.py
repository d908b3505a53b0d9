"""One training of a search: judged on validation data alone, and leaving nothing behind."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from rich.console import Console

from eyespot.data.dataset import Dataset
from eyespot.errors import RecipeError
from eyespot.recipe import Recipe
from eyespot.training.determinism import deterministic_kernels
from eyespot.training.fit import Ending, Observer, fit
from eyespot.workflow._prepare import prepare
from eyespot.workflow._program import program_for

AROUND = 1.0  # seconds a training takes besides its epochs


@dataclass(frozen=True)
class Tried:
    """What one training gave.

    Attributes:
        val_loss: of the epoch that the recipe keeps; None where there is none.
        seconds: for all of it.
        steady: seconds that the same training would take again: without what happens once, such as compiling kernels.
    """

    ending: Ending
    val_loss: float | None
    val_accuracy: float | None
    epochs: int
    seconds: float
    steady: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def without_test(dataset: Dataset, recipe: Recipe) -> Dataset:
    """What a search may see: everything but the test pictures.

    Raises:
        RecipeError: the recipe has no validation data but those.
    """
    if recipe.split.method in {"none", "test"}:
        raise RecipeError(
            f"A search chooses on validation data, and split.method {recipe.split.method!r} leaves it none of its own: "
            "add --set split.method=fraction."
        )
    # Where leaks are to be dropped, each training looks for them anew; otherwise that time is saved.
    return replace(dataset, test=None, origin=dataset.origin if recipe.pictures.drop_leaks else None)


def try_recipe(
    dataset: Dataset, recipe: Recipe, observers: Sequence[Observer] = (), stop: Callable[[], bool] = lambda: False
) -> Tried:
    """Trains a recipe, and says what validation data gave.

    Args:
        dataset: without test pictures.
        stop: asked after every step; the training then ends as interrupted.
    """
    started = time.perf_counter()
    prepared = prepare(dataset, recipe, {}, {}, Console(quiet=True), trust=False)
    training = prepared.recipe.training
    program = program_for(prepared, training.steps_for(len(prepared.dataset.train)), lambda _: None)
    with deterministic_kernels(wanted=training.deterministic):
        outcome = fit(program, prepared.dataset, training, observers, stop)
    kept = outcome.history.rows[outcome.kept_epoch - 1] if outcome.kept_epoch else {}
    seconds, epochs = time.perf_counter() - started, outcome.history.column("seconds")
    steady = min(seconds, len(epochs) * median(epochs) + AROUND) if epochs else seconds
    return Tried(outcome.ending, kept.get("val_loss"), kept.get("val_accuracy"), len(epochs), seconds, steady)
