"""Settings that a user asks for and that can have no effect: an error, where silence would mislead.

Only what is stated in a call is looked at. A recipe's file may hold any default, whether it has an effect or not.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from eyespot.errors import UsageError
from eyespot.recipe.changes import settings_of
from eyespot.recipe.schema import OPTIONS, Recipe

DRAWN = ("fraction", "last")  # methods that take a share of the training images for validation


def stated_keys(options: Mapping[str, Any], settings: Mapping[str, Any]) -> set[str]:
    """Return the keys that a call states: options by their names, and settings by dotted ones."""
    named = {OPTIONS[name].key for name, value in options.items() if name in OPTIONS and value is not None}
    return named | settings_of(settings).keys()


def check_effect(recipe: Recipe, stated: Collection[str], read_as_is: str | None = None) -> None:
    """Check that each setting that a call states can have an effect.

    Args:
        recipe: with the settings in it; what it leaves open may have an effect.
        stated: keys.
        read_as_is: name of a dataset that is not read from the user's own files; None: it is, or that is not known.

    Raises:
        UsageError: for the first that has none.
    """
    if read_as_is is not None:
        for name, value in recipe.pictures:
            if f"pictures.{name}" in stated:
                setting = f"pictures.{name}={value}" if isinstance(value, bool) else f"pictures.{name}"
                raise UsageError(f"`{setting}` is for images of your own, and {read_as_is} is not: leave it out.")
    for key, has_effect, reason in (*_of_split(recipe), *_of_training(recipe)):
        if key in stated and not has_effect:
            raise UsageError(f"`{key}` {reason}.")


def _of_split(recipe: Recipe) -> Iterator[tuple[str, bool, str]]:
    """Settings, whether each has an effect, and why it has none and what to do."""
    method = recipe.split.method
    if method is None:  # decided by the dataset
        return
    reason = f"has no effect with `split.method={method!r}`: leave it out, or use `split.method='fraction'`"
    yield "split.fraction", method in DRAWN, reason
    yield "split.stratify", method == "fraction" or not recipe.split.stratify, reason
    yield "split.seed", method == "fraction", reason
    if method == "none":
        reason = "needs validation data, and `split.method='none'` leaves none: leave one of them out"
        yield "training.patience", False, reason
        yield "training.early_stopping", not recipe.training.early_stopping, reason
        yield "training.keep", recipe.training.keep != "best", reason


def _of_training(recipe: Recipe) -> Iterator[tuple[str, bool, str]]:
    training = recipe.training
    yield (
        "training.patience",
        training.early_stopping,
        "has no effect with `training.early_stopping=False`: leave it out, or use `training.early_stopping=True`",
    )
    yield (
        "training.precision",
        training.engine != "keras" or training.precision != "bfloat16",
        "has no effect with `training.engine='keras'`, which computes in float32: leave one of them out",
    )
    yield (
        "model.freeze",
        recipe.model.start is not None or not recipe.model.freeze,
        "needs trained weights: name a run or a .keras file as `model.from`",
    )
