"""How one recipe differs from another, in words."""

import json
from difflib import SequenceMatcher
from typing import Any

from eyespot.recipe.schema import Recipe


def differences_in_words(first: Recipe, second: Recipe) -> list[str]:
    """What the second has otherwise; empty where a training would be the same.

    A setting is told as `training.epochs: 10 → 20`; of a list, as of layers, what is left out and what is new.
    """
    old, new = first.settings(), second.settings()
    told = []
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if isinstance(before, list) and isinstance(now, list):
            told += [f"{name}: {change}" for change in _changes(before, now)]
        else:
            told.append(f"{name}: {_short(before)} → {_short(now)}")
    return told


def _changes(before: list[Any], now: list[Any]) -> list[str]:
    """Of two lists, what has to be done to make the second out of the first."""
    old, new = ([_short(item) for item in items] for items in (before, now))
    told = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = ", ".join(old[a:b]), ", ".join(new[c:d])
        if kind == "delete":
            told.append(f"without {gone}")
        elif kind == "insert":
            told.append(f"with {come}{f' after {new[c - 1]}' if c else ''}")
        elif kind == "replace":
            told.append(f"{come} in the place of {gone}")
    return told


def _short(value: Any) -> str:
    """A layer as it is written in Python; other values as in JSON."""
    if isinstance(value, dict) and "layer" in value:
        settings = ", ".join(f"{name}={_short(setting)}" for name, setting in value.items() if name != "layer")
        return f"{value['layer']}({settings})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
