"""Recipes as files: by name or by path, whole, or as one stated change of another.

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
from eyespot.recipe.schema import Recipe

FOLDER = Path(str(files("eyespot.recipe"))) / "presets"
SUFFIXES = (".yaml", ".yml")
OF_A_RUN = "recipe"  # every run's is called so
OF_CHANGES = ("base", "set", "insert")
OF_ITS_OWN = {"name": None, "description": None, "change": None, "teaches": None, "published": None}


def recipe_names() -> list[str]:
    """Those that come with eyespot."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_recipe(source: str | Path, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Reads a recipe.

    Args:
        source: a file, or the name of a recipe that comes with eyespot.
        settings: keys to change, by their dotted names.

    Raises:
        RecipeError: there is no such recipe, it is not YAML, or it holds a key or value that does not fit; the sentence
            names the file, the key and the nearest valid one.
    """
    path = find_recipe(source)
    values = _read(path, [])
    _change(values, settings or {}, "the settings")
    stem = None if path.stem == OF_A_RUN else path.stem
    return Recipe.parse(values | {"name": values.get("name") or stem}, where=str(path))


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


def with_settings(recipe: Recipe, settings: Mapping[str, Any], where: str = "the settings") -> Recipe:
    """The recipe with keys changed, by their dotted names.

    Args:
        where: they are written, for the error.

    Raises:
        RecipeError: a key is unknown, or its value does not fit.
    """
    if not settings:
        return recipe
    values = recipe.model_dump(by_alias=True)
    _change(values, settings, where)
    return Recipe.parse(values, where=where)


def parse_setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """The key and the value of `key=value`, the value read as YAML.

    Args:
        option: of the command line, for the error.

    Raises:
        RecipeError: it is not of that form.
    """
    key, sign, value = text.partition("=")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        sign = ""
    if not sign or not key.strip():
        raise RecipeError(f"{option} takes key=value, such as training.epochs=5; received {text!r}.")
    return key.strip(), read


def _read(path: Path, on_the_way: Sequence[Path]) -> dict[str, Any]:
    """A file's values, a variation's made from its base's."""
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds no recipe: expected keys such as dataset, model, training.")
    named, changes, insert = (values.pop(key, None) for key in OF_CHANGES)
    if not isinstance(changes or {}, dict):
        raise RecipeError(f"In {path}: set takes keys and values, such as training.epochs: 5.")
    if not isinstance(insert or [], list) or not all(isinstance(one, dict) for one in insert or []):
        raise RecipeError(f"In {path}: insert takes a list of layers, each after a place of the base.")
    if named is None:
        if changes or insert:
            raise RecipeError(f"In {path}: set and insert change another recipe: name it as base.")
        return values
    base = _base(path, str(named))
    if base in (*on_the_way, path):
        raise RecipeError(f"In {path}: base leads back to {base}.")
    made = _read(base, (*on_the_way, path)) | OF_ITS_OWN | {"variation_of": named}
    _change(made, changes or {}, str(path), insert=insert or [])
    return made | values


def _base(path: Path, name: str) -> Path:
    beside = path.parent / f"{name}.yaml"
    try:
        return beside if beside.is_file() else find_recipe(name)
    except RecipeError as error:
        raise RecipeError(f"In {path}: base: {error}") from None


def _change(
    values: dict[str, Any], settings: Mapping[str, Any], where: str, insert: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Sets keys, then puts layers in, then takes layers out, so that all places are those of the base."""
    for dotted, value in settings.items():
        _put(values, str(dotted), value, where)
    layers = (values.get("model") or {}).get("layers")
    if not isinstance(layers, list):
        if insert:
            raise RecipeError(f"In {where}: insert: the base has no model.layers.")
        return
    after: dict[int, list[dict[str, Any]]] = {}
    for one in insert:
        place = one.get("after")
        if not isinstance(place, int) or not 0 <= place < len(layers):
            raise RecipeError(f"In {where}: insert: after must be one of 0 to {len(layers) - 1}; received {place!r}.")
        after.setdefault(place, []).append({key: value for key, value in one.items() if key != "after"})
    rows = [[layer, *after.get(place, [])] for place, layer in enumerate(layers)]
    values["model"]["layers"] = [layer for row in rows for layer in row if layer is not None]


def _put(values: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    *parents, last = dotted.split(".")
    part: Any = values
    for done, key in enumerate(parents):
        if isinstance(part, dict) and part.get(key) is None:
            part[key] = {}
        part = part[_key(part, key, ".".join(parents[: done + 1]), where)]
    if not isinstance(part, dict | list):
        raise RecipeError(f"In {where}: {'.'.join(parents)} is a single value and has no {last!r}.")
    part[_key(part, last, dotted, where)] = value


def _key(part: Any, key: str, dotted: str, where: str) -> Any:
    """The key of a dict, the place in a list."""
    if not isinstance(part, list):
        return key
    if not key.isdecimal() or int(key) >= len(part):
        raise RecipeError(f"In {where}: {dotted}: expected a place from 0 to {len(part) - 1}; received {key!r}.")
    return int(key)
