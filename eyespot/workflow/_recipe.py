"""Which recipe a training follows, from what the user names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyespot.backend import keras
from eyespot.data.catalog import CATALOG
from eyespot.data.dataset import Dataset
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
    if isinstance(source, str) and source not in CATALOG:
        raise DataError(unknown("dataset or recipe", source, {*CATALOG, *recipe_names()}))
    chosen = with_settings(recipe or Recipe(), settings)
    return chosen.dataset if source is None else source, chosen


def model_before_data(source: str | Dataset, recipe: Recipe, *, trust: bool) -> keras.Model | None:
    """The recipe's model, built before pictures are read or downloaded, where it is known what it gets.

    Raises:
        ModelError, RecipeError: it cannot be built for them.
    """
    if isinstance(source, str) and source in CATALOG and recipe.model.start is None:
        entry = CATALOG[source]
        return build_recipe(recipe, entry.input_shape, entry.classes, trust=trust)
    return None


def names_recipe(source: object) -> bool:
    """Whether it is a recipe's name or file: an existing file, then a dataset, then a recipe."""
    if not isinstance(source, str):
        return False
    path = Path(source)
    return path.suffix in SUFFIXES or path.is_file() or (source not in CATALOG and source in recipe_names())
