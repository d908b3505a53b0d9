"""Options of a recipe: the settings that have a short name, as `epochs` for `training.epochs`.

A field of the schema becomes an option by its `Option`. Everything else about it stands in the field: type, choices,
range, default and description. `options_of` collects them; the command line and `train(epochs=5)` are made from that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Group = Literal["Data", "Model", "Optimiser", "Stopping", "Run"]
SIMPLE = (bool, int, float, str)
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class Option:
    """What makes a field an option.

    Attributes:
        group: of options that are shown together.
        name: None: the field's own.
        unset: what None stands for, where that is the field's default.
        negative: the flag's opposite; None: `--no-` and the name.
    """

    group: Group
    name: str | None = None
    unset: str | None = None
    negative: str | None = None


@dataclass(frozen=True)
class RecipeOption:
    """An option, as the schema describes it.

    Attributes:
        name: as Python takes it: `early_stopping`.
        flag: as the command line takes it: `--early-stopping`.
        negative: the flag that switches it off, of a bool.
        key: the setting: `training.early_stopping`.
        group: of options that are shown together.
        type: of its value; text for what is neither a number nor a bool.
        choices: the values it may have; empty: any in the range.
        range: in words, as in `from 0 to 1`; empty where it has no upper limit.
        default: in words.
        description: what it is, without a full stop.
    """

    name: str
    flag: str
    negative: str | None
    key: str
    group: Group
    type: type[bool | int | float | str]
    choices: tuple[str, ...]
    range: str
    default: str
    description: str

    @property
    def help(self) -> str:
        """Sentences for the command line: what it is, its choices or range, and its default."""
        choices = f": {_alternatives(self.choices)}" if self.choices else ""
        limits = f" ({self.range})" if self.range else ""
        return f"{self.description}{choices}{limits}. Default: {self.default}."


def options_of(recipe: type[BaseModel]) -> dict[str, RecipeOption]:
    """Return the options by name, in the order of their groups and fields."""
    found = [
        _described(f"{part_key}.{field.alias or field_name}", field_name, field, option)
        for part_key, part in recipe.model_fields.items()
        if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel)
        for field_name, field in part.annotation.model_fields.items()
        for option in field.metadata
        if isinstance(option, Option)
    ]
    groups = get_args(Group)
    return {option.name: option for option in sorted(found, key=lambda option: groups.index(option.group))}


def _described(key: str, field_name: str, field: FieldInfo, option: Option) -> RecipeOption:
    name = option.name or field_name
    flag = (name if option.name else field.alias or name).replace("_", "-")
    kind, choices = _kind(field.annotation)
    is_flag = kind is bool
    return RecipeOption(
        name=name,
        flag=f"--{flag}",
        negative=(option.negative or f"--no-{flag}") if is_flag else None,
        key=key,
        group=option.group,
        type=kind,
        choices=choices,
        range=_range_text(
            {name: getattr(limit, name) for limit in field.metadata for name in LIMITS if hasattr(limit, name)}
        ),
        default=_default_text(field.default, option),
        description=field.description or "",
    )


def _kind(annotation: Any) -> tuple[type[bool | int | float | str], tuple[str, ...]]:
    """The type of an option's value on the command line, and its choices."""
    parts = [part for part in _parts(annotation) if part is not NoneType]
    choices = tuple(part for part in parts if isinstance(part, str))
    return next((kind for kind in SIMPLE if kind in parts[:1]), str), choices


def _parts(annotation: Any) -> Iterator[Any]:
    """The types and literals that an annotation is made of, unions and `Annotated` taken apart."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin not in {Literal, Annotated, Union, UnionType}:
        yield annotation
        return
    for argument in arguments[:1] if origin is Annotated else arguments:
        yield from _parts(argument)


def _default_text(default: Any, option: Option) -> str:
    if default is None:
        return option.unset or ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:,}" if isinstance(default, int) else f"{default:g}" if isinstance(default, float) else default


def _alternatives(choices: tuple[str, ...]) -> str:
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


def _range_text(limits: Mapping[str, float]) -> str:
    """A range in words, such as `from 0 to 180`; empty without an upper limit, since the lower one is plain then.

    Args:
        limits: by Pydantic's names: `ge`, `gt`, `le`, `lt`.
    """
    if {"ge", "le"} <= limits.keys():
        return f"from {limits['ge']:,} to {limits['le']:,}"
    words = [f"{words} {limits[name]:,}" for name, words in LIMITS.items() if name in limits]
    return " and ".join(words) if {"le", "lt"} & limits.keys() else ""
