"""Changes of a recipe: parse them, apply them, describe them.

A change is a setting, `key: value`: the key a dotted name (`training.epochs`, `model.layers.1.units` with the layers
counted from 0), the value as in YAML. Whatever changes a recipe comes down to settings:

    set: of a file            training.epochs: 5, as it is
    settings, as text         training.epochs=5                                   `parse_setting`
    grid, as text             training.epochs=5,10                                `parse_values`
    changes, as text          short, slow: training.epochs=5; training.seed=1     `parse_change`
    options, as epochs=5      a short name of a key                               `Recipe.with_options`

and is described as `training.epochs: 5` (`describe_settings`) or `training.epochs: 10 → 5` (`describe_differences`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import yaml

from eyespot.errors import RecipeError, UsageError


def parse_values(text: str) -> tuple[str, list[Any]]:
    """The key and the values of `key=value,value`, the values read as YAML.

    Raises:
        UsageError: it is not of that form.
    """
    key, sign, values = text.partition("=")
    try:
        parsed = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        parsed = []
    if not sign or not key.strip() or not parsed:
        raise UsageError(f"`grid` takes key=value,value, such as training.batch_size=32,512; received {text!r}.")
    return key.strip(), parsed


def parse_change(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the settings of `name: key=value; key=value`; without a name the text is the name.

    Raises:
        UsageError: it is not of that form.
    """
    name, colon, rest = text.partition(": ")
    has_name = bool(colon) and "=" not in name
    settings = dict(parse_setting(setting, "changes") for setting in (rest if has_name else text).split(";"))
    return (name if has_name else text).strip(), settings


def parse_setting(text: str, argument: str = "settings") -> tuple[str, Any]:
    """The key and the value of `key=value`, the value read as YAML.

    Args:
        argument: of the verb, for the error.

    Raises:
        UsageError: it is not of that form.
    """
    key, sign, value = text.partition("=")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        sign = ""
    if not sign or not key.strip():
        raise UsageError(f"`{argument}` takes key=value, such as training.epochs=5; received {text!r}.")
    return key.strip(), parsed


def apply_settings(
    values: dict[str, Any], settings: Mapping[str, Any], where: str, insert: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Change a recipe's plain values in place: set keys, then insert layers, then remove those set to None.

    All positions of layers are therefore those before the change.

    Args:
        where: the settings are written, for the error.
        insert: layers, each with `after`: the position of the layer that it follows.

    Raises:
        RecipeError: a key leads through a single value, or there is no layer at a position.
    """
    for key, value in settings.items():
        _set(values, str(key), value, where)
    layers = (values.get("model") or {}).get("layers")
    if not isinstance(layers, list):
        if insert:
            raise RecipeError(f"In {where}: insert: the base has no model.layers.")
        return
    inserted: dict[int, list[dict[str, Any]]] = {}
    for layer in insert:
        position = layer.get("after")
        if not isinstance(position, int) or not 0 <= position < len(layers):
            raise RecipeError(
                f"In {where}: insert: after must be one of 0 to {len(layers) - 1}; received {position!r}."
            )
        inserted.setdefault(position, []).append({key: value for key, value in layer.items() if key != "after"})
    rows = [[layer, *inserted.get(position, [])] for position, layer in enumerate(layers)]
    values["model"]["layers"] = [layer for row in rows for layer in row if layer is not None]


def _set(values: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a dotted key in nested values, and make the dictionaries on the way to it."""
    *parents, last = key.split(".")
    part: Any = values
    for depth, name in enumerate(parents):
        if isinstance(part, dict) and part.get(name) is None:
            part[name] = {}
        part = part[_index(part, name, ".".join(parents[: depth + 1]), where)]
    if not isinstance(part, dict | list):
        raise RecipeError(f"In {where}: {'.'.join(parents)} is a single value and has no {last!r}.")
    part[_index(part, last, key, where)] = value


def _index(part: Any, name: str, key: str, where: str) -> Any:
    """A name of a dotted key as what `part` is indexed by: a dictionary's key, a list's position."""
    if not isinstance(part, list):
        return name
    if not name.isdecimal() or int(name) >= len(part):
        raise RecipeError(f"In {where}: {key}: expected a place from 0 to {len(part) - 1}; received {name!r}.")
    return int(name)


def settings_of(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as settings, by dotted keys; a list is one value."""
    settings: dict[str, Any] = {}
    for name, value in values.items():
        settings |= settings_of(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return settings


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Return settings as one line: `training.epochs: 5, model.dropout: 0.25`; numbers have four digits."""
    return ", ".join(
        f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value_text(value)}"
        for key, value in settings.items()
    )


def value_text(value: Any) -> str:
    """A value as it is written: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def describe_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], keys: Iterable[str] | None = None
) -> list[str]:
    """Describe the differences between two sets of settings, a few words each; empty where they are equal.

    A difference is described as `training.epochs: 10 → 20`; of a list, as of layers, what was removed and what is new.

    Args:
        keys: to compare; None: all, in alphabetical order.
    """
    differences: list[str] = []
    for key in sorted({*before, *after}) if keys is None else keys:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        edits = list(_list_edits(old, new)) if isinstance(old, list) and isinstance(new, list) else []
        differences += [f"{key}: {edit}" for edit in edits or [f"{_item_text(old)} → {_item_text(new)}"]]
    return differences


def _list_edits(old: Sequence[Any], new: Sequence[Any]) -> Iterator[str]:
    """The edits that turn one list into another."""
    old_texts, new_texts = ([_item_text(item) for item in items] for items in (old, new))
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old_texts, new_texts, autojunk=False).get_opcodes():
        removed, added = ", ".join(old_texts[i1:i2]), ", ".join(new_texts[j1:j2])
        if kind == "delete":
            yield f"without {removed}"
        elif kind == "insert":
            yield f"with {added}{f' after {new_texts[j1 - 1]}' if j1 else ''}"
        elif kind == "replace":
            yield f"{added} in the place of {removed}"


def _item_text(value: Any) -> str:
    """A layer as it is written in Python; other values as `value_text` has them."""
    if isinstance(value, dict) and "layer" in value:
        settings = ", ".join(f"{name}={_item_text(setting)}" for name, setting in value.items() if name != "layer")
        return f"{value['layer']}({settings})"
    return value_text(value)
