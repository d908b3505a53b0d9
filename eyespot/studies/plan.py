"""What a study varies: a base, single changes of it by name, a grid of values; and the variants that this makes."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from eyespot.errors import RecipeError
from eyespot.recipe.changes import value_text
from eyespot.recipe.parts import RecipePart, parse_part
from eyespot.recipe.recipe_files import SUFFIXES, read_yaml

BASE = "base"
OF_A_STUDY = {"changes", "grid", "repeats"}  # keys that no recipe has
NOT_VARIED = {
    "dataset": "variants are compared on the same images: make a study of each dataset",
    "training.seed": "the repeats differ in it: say how many with `repeats`",
}


def names_study(source: object) -> bool:
    """Whether it is a study's file, and not a recipe's."""
    if not isinstance(source, str) or Path(source).suffix not in SUFFIXES or not Path(source).is_file():
        return False
    values = read_yaml(Path(source))
    return isinstance(values, dict) and bool(OF_A_STUDY & values.keys())


class Change(RecipePart):
    """One stated change of the base: keys by their dotted names, and their values."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(min_length=1)
    settings: dict[str, Any] = Field(alias="set", min_length=1)

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any]) -> "Change":
        """A change by its name and what it sets.

        Raises:
            RecipeError: it sets nothing, or has no name.
        """
        return parse_part(cls, {"name": name, "set": dict(settings)}, f"the change {name!r}")


class StudyPlan(RecipePart):
    """A study as a file says it.

    `set`: keys of the base to change for all variants; `grid`: for each key the values it takes, all combined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    base: str | None = Field(default=None, description="a dataset, or a recipe's name or file; None: digits")
    settings: dict[str, Any] = Field(default_factory=dict, alias="set")
    changes: list[Change] = Field(default_factory=list)
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    repeats: int = Field(default=3, ge=1)


def read_plan(path: str | Path) -> StudyPlan:
    """Reads a study's file; a base beside it goes before others of that name.

    Raises:
        RecipeError: it is not YAML, or holds a key or value that does not fit.
    """
    plan = parse_part(StudyPlan, read_yaml(Path(path)), str(path))
    sibling = Path(path).parent / str(plan.base)
    return plan.model_copy(update={"base": str(sibling)}) if plan.base and sibling.is_file() else plan


@dataclass(frozen=True)
class Variant:
    """The base, or what differs from it in stated settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def variants_of(changes: Sequence[Change], grid: Mapping[str, Sequence[Any]]) -> list[Variant]:
    """The base, then each change of it, then each combination of the grid.

    Raises:
        RecipeError: there is nothing to vary, a key cannot be varied, or two variants have one name.
    """
    for key in (*grid, *itertools.chain.from_iterable(change.settings for change in changes)):
        if key in NOT_VARIED:
            raise RecipeError(f"A study cannot vary {key}: {NOT_VARIED[key]}.")
    empty_keys = [key for key, values in grid.items() if not values]
    if empty_keys:
        raise RecipeError(f"The grid has no values for {empty_keys[0]}: state one at least.")
    changed_variants = [*(Variant(change.name, change.settings) for change in changes), *_combined(grid)]
    if not changed_variants:
        raise RecipeError("There is nothing to compare: state what varies as `grid` or `changes`.")
    variants = [Variant(BASE), *changed_variants]
    if duplicates := [
        name for name, count in Counter(folder_name(variant.name) for variant in variants).items() if count > 1
    ]:
        raise RecipeError(f"Two variants would both be called {duplicates[0]!r}: give each a name of its own.")
    return variants


def _combined(grid: Mapping[str, Sequence[Any]]) -> Iterator[Variant]:
    """The Cartesian product, the last key varying first; none where there is no grid."""
    if not grid:
        return
    short_names = [key.rpartition(".")[2] for key in grid]
    names = short_names if len(set(short_names)) == len(short_names) else list(grid)
    for values in itertools.product(*grid.values()):
        label = ", ".join(f"{name}={value_text(value)}" for name, value in zip(names, values, strict=True))
        yield Variant(label, dict(zip(grid, values, strict=True)))


def folder_name(name: str) -> str:
    """A variant's name as a directory's: letters, digits and a few signs."""
    safe_name = "".join(sign if sign.isalnum() or sign in "=.,_+-" else "-" for sign in name.replace(", ", ","))
    return safe_name.strip("-.")[:100] or "-"
