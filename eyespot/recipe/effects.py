"""Settings that a user asks for and that can have no effect: an error, where silence would mislead.

Only what is stated in a call is looked at. A recipe's file may hold any default, whether it has an effect or not.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from eyespot.errors import UsageError
from eyespot.recipe.changes import settings_of
from eyespot.recipe.schema import OPTIONS, Recipe

DRAWN = ("fraction", "last")  # methods that take a share of the training images for validation
SourceKind = Literal["dataset", "folder", "table", "pixel table", "arrays", "IDX files"]
DECODING = {"size", "resize", "color", "max_bytes", "max_pixels"}
OF_ANY = {"class_names", "drop_leaks"}
# The settings of `pictures` that have an effect on each kind of a user's own images, and what it is called.
OWN_IMAGES: dict[SourceKind, tuple[str, set[str]]] = {
    "folder": ("image files", OF_ANY | DECODING),
    "table": ("a table of image files", OF_ANY | DECODING | {"image_column", "label_column", "split_column"}),
    "pixel table": ("a table of pixels", OF_ANY | {"label_column"}),
    "arrays": ("arrays", OF_ANY | {"image_column", "label_column"}),
    "IDX files": ("IDX files", OF_ANY),
}


def stated_keys(options: Mapping[str, Any], settings: Mapping[str, Any]) -> set[str]:
    """Return the keys that a call states: options by their names, and settings by dotted ones."""
    named = {OPTIONS[name].key for name, value in options.items() if name in OPTIONS and value is not None}
    return named | settings_of(settings).keys()


def check_effect(recipe: Recipe, stated: Collection[str]) -> None:
    """Check that each setting that a call states can have an effect.

    Args:
        recipe: with the settings in it; what it leaves open may have an effect.
        stated: keys.

    Raises:
        UsageError: for the first that has none.
    """
    for key, has_effect, reason in (*_of_split(recipe), *_of_training(recipe)):
        if key in stated and not has_effect:
            raise UsageError(f"`{key}` {reason}.")


def check_effect_on_source(recipe: Recipe, stated: Collection[str], source: str, kind: SourceKind) -> None:
    """Check that each setting of how images are read that a call states has an effect on its source.

    Args:
        recipe: with the settings in it.
        stated: keys.
        source: its name or path, for the error.
        kind: what it is; `dataset`: none of the user's own files.

    Raises:
        UsageError: for the first that has none.
    """
    called, used = OWN_IMAGES.get(kind, ("", set()))
    for name, value in recipe.pictures:
        if f"pictures.{name}" in stated and name not in used:
            setting = f"pictures.{name}={value}" if isinstance(value, bool) else f"pictures.{name}"
            if kind == "dataset":
                raise UsageError(f"`{setting}` is for images of your own, and {source} is not: leave it out.")
            raise UsageError(f"`{setting}` has no effect on {source}, which holds {called}: leave it out.")


def _of_split(recipe: Recipe) -> Iterator[tuple[str, bool, str]]:
    """Settings, whether each has an effect, and why it has none and what to do."""
    method = recipe.split.method
    if method is None:  # decided by the dataset
        return
    reason = f"has no effect with `split.method={method!r}`: leave it out, or use `split.method='fraction'`"
    yield "split.fraction", method in DRAWN, reason
    holds_out = recipe.split.test_fraction is not None
    yield "split.stratify", method == "fraction" or holds_out or not recipe.split.stratify, reason
    yield "split.seed", method == "fraction" or holds_out, reason
    reason = "holds out test images, and `split.method='test'` validates on them: leave one of them out"
    yield "split.test_fraction", method != "test", reason
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
        recipe.model.start is not None or recipe.model.is_backbone or not recipe.model.freeze,
        "needs trained weights: name a backbone as `model.name`, or a run or a .keras file as `model.from`",
    )
