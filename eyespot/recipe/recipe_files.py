"""Files of recipes: by name or by path, whole, or as one stated change of another; what they say, as plain values.

A file with `base` takes everything from that recipe but what it says itself. `set` changes single keys of it, by their
dotted names (`model.layers.1.units: 2048`; null takes a layer out), `insert` puts layers in, each `after` one of the
base, counted from 0.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from eyespot.errors import RecipeError, unknown
from eyespot.recipe.changes import apply_settings

FOLDER = Path(str(files("eyespot.recipe"))) / "presets"
SUFFIXES = (".yaml", ".yml")
OF_A_RUN = "recipe"  # every run's is called so
OF_CHANGES = ("base", "set", "insert")
OF_ITS_OWN = {"name": None, "description": None, "change": None, "teaches": None, "published": None}


def read_values(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe's file, with its name.

    Args:
        path: as of `find_recipe`.
        settings: keys to change, by their dotted names.

    Raises:
        RecipeError: it is not YAML, or is no recipe.
    """
    values = _read(path, [])
    apply_settings(values, settings, "the settings")
    stem = None if path.stem == OF_A_RUN else path.stem
    return values | {"name": values.get("name") or stem}


def find_recipe(source: str | Path) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: there is none of that path or name.
    """
    path = Path(source)
    if path.suffix in SUFFIXES or path.is_file():
        if not path.is_file():
            raise RecipeError(f"There is no recipe at {path}.")
        return path
    if str(source) not in recipe_names():
        raise RecipeError(unknown("recipe", str(source), recipe_names()))
    return FOLDER / f"{source}.yaml"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with eyespot."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _read(path: Path, on_the_way: Sequence[Path]) -> dict[str, Any]:
    """Return the values of a file; those of a variation are made from its base."""
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds no recipe: expected keys such as dataset, model, training.")
    base_name, changes, insert = (values.pop(key, None) for key in OF_CHANGES)
    if not isinstance(changes or {}, dict):
        raise RecipeError(f"In {path}: set takes keys and values, such as training.epochs: 5.")
    if not isinstance(insert or [], list) or not all(isinstance(layer, dict) for layer in insert or []):
        raise RecipeError(f"In {path}: insert takes a list of layers, each after a place of the base.")
    if base_name is None:
        if changes or insert:
            raise RecipeError(f"In {path}: set and insert change another recipe: name it as base.")
        return values
    base = _base(path, str(base_name))
    if base in (*on_the_way, path):
        raise RecipeError(f"In {path}: base leads back to {base}.")
    inherited = _read(base, (*on_the_way, path)) | OF_ITS_OWN | {"variation_of": base_name}
    apply_settings(inherited, changes or {}, str(path), insert or [])
    return inherited | values


def read_yaml(path: Path) -> Any:
    """A YAML file's values.

    Raises:
        RecipeError: it cannot be read, or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None


def _base(path: Path, name: str) -> Path:
    sibling = path.parent / f"{name}.yaml"
    try:
        return sibling if sibling.is_file() else find_recipe(name)
    except RecipeError as error:
        raise RecipeError(f"In {path}: base: {error}") from None
