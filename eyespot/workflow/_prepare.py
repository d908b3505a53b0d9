"""What a training needs before it begins: data, recipe and model that fit each other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from eyespot.backend import keras
from eyespot.data.audit.duplicates import Pair, leaking_rows
from eyespot.data.augment.changes import Changes
from eyespot.data.augment.policy import changes_of
from eyespot.data.augment.policy import settled as settled_augmentation
from eyespot.data.dataset import Dataset
from eyespot.data.source import load
from eyespot.data.split import split
from eyespot.errors import DataError
from eyespot.recipe import Recipe
from eyespot.shapes import Float32
from eyespot.training.classes import balanced_weights, told_weights
from eyespot.workflow._audit import audit
from eyespot.workflow._recipe import model_before_data, own_first, recipe_for
from eyespot.workflow._start import starting_model


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step.

    Attributes:
        dataset: split as the recipe has it.
        fingerprint: of the pictures and labels.
        recipe: with everything in it that was left open.
        changes: of the training pictures.
        class_weights: of the training loss; None: all the same.
        notes: what the user should be told.
    """

    dataset: Dataset
    fingerprint: str
    recipe: Recipe
    model: keras.Model
    changes: Changes
    class_weights: Float32[np.ndarray, " classes"] | None
    notes: tuple[str, ...]


def prepare(  # noqa: PLR0913 - as of `train`
    source: str | Dataset | None,
    recipe: Recipe | None,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    console: Console,
    *,
    trust: bool,
) -> Prepared:
    """Finds the recipe, builds the model, reads the pictures; arguments as of `train`.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit.
    """
    path_first = own_first(source)
    source, recipe = recipe_for(source, recipe, settings)
    recipe = recipe.with_options(dict(options))
    built = model_before_data(source, recipe, trust=trust)
    whole = load(source, recipe.pictures, console, own_first=path_first)
    origin = whole.origin
    recipe = recipe.settled(
        origin.path if origin else whole.name,
        validation_given=whole.validation is not None,
        pictures=origin.pictures if origin else None,
        augmentation=settled_augmentation(recipe.augmentation, whole),
    )
    dataset = split(whole, recipe.split, recipe.training.seed)
    found = audit(dataset, console, labels=False, within=False) if origin else None
    if found and recipe.pictures.drop_leaks:
        dataset = _without_leaks(dataset, found.leaks)
    batch_size = recipe.training.batch_size_for(len(dataset.train))
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch_size": batch_size})})
    model, recipe, of_model = starting_model(recipe, dataset, built, trust=trust)
    return Prepared(
        dataset,
        whole.fingerprint,
        recipe,
        model,
        changes_of(recipe.augmentation),
        _class_weights(recipe, dataset),
        (*_notes(recipe, whole, dataset), *(found.sentences() if found else ()), *of_model),
    )


def _class_weights(recipe: Recipe, dataset: Dataset) -> Float32[np.ndarray, " classes"] | None:
    wanted = recipe.training.class_weights == "balanced"
    return balanced_weights(dataset.train.labels, dataset.classes) if wanted else None


def _notes(recipe: Recipe, whole: Dataset, dataset: Dataset) -> tuple[str, ...]:
    notes = list(whole.origin.notes) if whole.origin else []
    if whole.validation is not None and recipe.split.method != "given":
        notes.append(
            f"Note: the validation data that {whole.name} comes with is left out (--split {recipe.split.method})."
        )
    changes, weights = changes_of(recipe.augmentation), _class_weights(recipe, dataset)
    if changes.any:
        notes.append(f"Training pictures are changed at random ({recipe.augmentation.policy}): {changes.describe()}.")
    if weights is not None:
        notes.append(f"Class weights, balanced: {told_weights(weights, dataset.class_names)}.")
    if recipe.training.resample:
        notes.append("An epoch has as many pictures of each class (resample: balanced).")
    return tuple(notes)


def _without_leaks(dataset: Dataset, leaks: list[Pair]) -> Dataset:
    """The training pictures that are in another split too left out."""
    kept = np.setdiff1d(np.arange(len(dataset.train)), leaking_rows(leaks))
    if not len(kept):
        raise DataError(f"{dataset.name}: every training picture is in another split too: nothing is left to learn.")
    return replace(dataset, train=dataset.train.take(kept))
