"""Which recipe a training follows, from what the user names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyespot.backend import keras
from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
from eyespot.data.source import is_path, looks_like_path
from eyespot.errors import DataError, unknown
from eyespot.models.architectures import build_recipe
from eyespot.recipe import Recipe
from eyespot.recipe_files import SUFFIXES, read_recipe, recipe_names, with_settings


def recipe_for(
    source: str | Dataset | None, recipe: Recipe | None, settings: Mapping[str, Any]
) -> tuple[str | Dataset, Recipe]:
    """The dataset, and the recipe to train it by.

    Args:
        source: a dataset, or the name of one; or, where no recipe is given, a recipe's file or name.
        settings: keys of the recipe to change, by their dotted names.

    Raises:
        DataError: there is no dataset and no recipe of that name.
        RecipeError: the recipe, or a setting, does not fit.
    """
    if recipe is None and isinstance(source, str) and names_recipe(source):
        chosen = read_recipe(source, settings)
        return chosen.dataset, chosen
    if isinstance(source, str) and source not in CATALOG and not is_path(source):
        if looks_like_path(source):
            raise DataError(f"There is no file or folder {source}.")
        raise DataError(unknown("dataset or recipe", source, {*CATALOG, *recipe_names()}))
    chosen = with_settings(recipe or Recipe(), settings)
    return chosen.dataset if source is None else source, chosen


def model_before_data(source: str | Dataset, recipe: Recipe, *, trust: bool) -> keras.Model | None:
    """The recipe's model, built before pictures are read or downloaded, where it is known what it gets.

    Raises:
        ModelError, RecipeError: it cannot be built for them.
    """
    if isinstance(source, str) and source in CATALOG and not is_path(source) and recipe.model.start is None:
        entry = CATALOG[source]
        return build_recipe(recipe, entry.input_shape, entry.classes, trust=trust)
    return None


def names_recipe(source: object) -> bool:
    """Whether it is a recipe's file or name: names mean an existing path first, then a dataset, then a recipe."""
    if not isinstance(source, str):
        return False
    known = source not in CATALOG and not is_path(source) and source in recipe_names()
    return known or Path(source).suffix in SUFFIXES


def own_first(source: object) -> bool:
    """Whether the user names the pictures, and not a recipe: then a path goes before a catalog name (see `load`)."""
    return source is not None and not names_recipe(source)


def model_stem(recipe: Recipe) -> str:
    """The model's name as part of a directory's name."""
    name = recipe.model.start or recipe.model.name or recipe.name or "own"
    file, _, function = name.rpartition(".py:")
    stem = function if file else Path(name).stem
    return f"from-{stem}" if recipe.model.start else stem
