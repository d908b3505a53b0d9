"""What training pictures look like, as plain values that travel with the model."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Centring = Literal["mass", "box", "none"]


@dataclass(frozen=True)
class Spread:
    """How a quantity is distributed over the training pictures: nearly its least, its quartiles, nearly its most."""

    low: float
    quarter: float
    median: float
    three_quarters: float
    high: float

    def holds(self, value: float, margin: float) -> bool:
        """Whether a value lies between nearly the least and nearly the most, give or take a margin."""
        return self.low - margin <= value <= self.high + margin

    @property
    def width(self) -> float:
        """From quartile to quartile."""
        return self.three_quarters - self.quarter


@dataclass(frozen=True)
class Appearance:
    """What training pictures look like. Lengths are shares of the picture's height and width, levels of 255.

    Attributes:
        plain: they show one grey object each, on a plain background; only then a photograph is brought to their looks.
        colour: their channels differ.
        lighter: the object is lighter than the background.
        background: level of the background.
        uniform: share of the pixels along the pictures' edges that have that level, within a tenth of the range.
        strength: how far the object's strongest pixels are from the background.
        height, width, longest: of the object's bounding box; `longest` of the longer side.
        mass_row, mass_column: the object's centre of mass.
        box_row, box_column: the centre of its bounding box.
        centring: what lies at the same place in all of them.
        stroke: width of its strokes, a share of the picture's height; of a filled object, about half its width.
        drawn: it is drawn with strokes, as digits and letters are; else it is filled, as clothes are.
    """

    plain: bool
    colour: bool
    lighter: bool
    background: float
    uniform: float
    strength: float
    height: Spread
    width: Spread
    longest: Spread
    mass_row: Spread
    mass_column: Spread
    box_row: Spread
    box_column: Spread
    centring: Centring
    stroke: Spread
    drawn: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> "Appearance":
        """Reads what `to_dict` wrote.

        Raises:
            ValueError: a value is missing, unknown, of another type, not finite or out of its range.
        """
        named = _named(values, {field.name for field in fields(cls)}, "appearance")
        read: dict[str, Any] = {}
        for field in fields(cls):
            value = named[field.name]
            if field.type is bool:
                read[field.name] = _flag(value, field.name)
            elif field.type is Spread:
                read[field.name] = _spread(value, field.name)
            elif field.type is float:
                read[field.name] = _share(value, field.name)
            else:
                read[field.name] = _word(value, field.name)
        return cls(**read)


def _named(values: object, names: set[str], what: str) -> Mapping[str, object]:
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"{what} must have exactly the keys {', '.join(sorted(names))}")
    return values


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")  # noqa: TRY004 - the file's fault
    return value


def _word(value: object, name: str) -> str:
    if value not in get_args(Centring):
        raise ValueError(f"{name} must be one of {', '.join(get_args(Centring))}")
    return str(value)


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return float(value)


def _spread(value: object, name: str) -> Spread:
    names = [field.name for field in fields(Spread)]
    named = _named(value, set(names), name)
    numbers = [_share(named[part], f"{name}.{part}") for part in names]
    if numbers != sorted(numbers):
        raise ValueError(f"{name} must rise from low to high")
    return Spread(*numbers)
