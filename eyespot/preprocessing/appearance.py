"""The appearance of training images, as plain values that travel with the model.

With it, `looks_like_training` tells whether a picture already looks like them and is best left as it is. NumPy alone:
this file is loaded with every prediction.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from eyespot.data.pixels import border_pixels
from eyespot.shapes import Bool, Float32, UInt8

Centring = Literal["mass", "box", "none"]
OBJECT = 0.25  # a pixel belongs to the object from this share of the strongest one's distance to the background
STRONGEST = 99.0  # percentile of a picture's pixels
SAME_LEVEL = 25.5  # a tenth of the range
MARGIN = 0.04  # a pixel of 28
FAINTEST = 0.5  # of the usual strength
SAME_EDGE = 0.5  # the least share of edge pixels on the background's level


@dataclass(frozen=True)
class Distribution:
    """How a quantity is distributed over the training images: nearly its least, its quartiles, nearly its most."""

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
        """The distance between the quartiles."""
        return self.three_quarters - self.quarter


@dataclass(frozen=True)
class Appearance:
    """The appearance of the training images. Lengths are shares of the picture's height and width, levels of 255.

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
    height: Distribution
    width: Distribution
    longest: Distribution
    mass_row: Distribution
    mass_column: Distribution
    box_row: Distribution
    box_column: Distribution
    centring: Centring
    stroke: Distribution
    drawn: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> "Appearance":
        """Read what `to_dict` wrote.

        Raises:
            ValueError: a value is missing, unknown, of another type, not finite or out of its range.
        """
        entries = _named(values, {field.name for field in fields(cls)}, "appearance")
        arguments: dict[str, Any] = {}
        for field in fields(cls):
            value = entries[field.name]
            if field.type is bool:
                arguments[field.name] = _flag(value, field.name)
            elif field.type is Distribution:
                arguments[field.name] = _spread_read(value, field.name)
            elif field.type is float:
                arguments[field.name] = _share(value, field.name)
            else:
                arguments[field.name] = _word(value, field.name)
        return cls(**arguments)


def looks_like_training(image: UInt8[np.ndarray, "height width channels"], appearance: Appearance) -> bool:
    """Whether polarity, background, size and place of the object are those of the training images.

    Args:
        image: at the model's size.
    """
    grey = image.mean(axis=2).round().astype(np.uint8)
    background = appearance.background * 255
    if (np.abs(border_pixels(grey[None]) - background) <= SAME_LEVEL).mean() < min(SAME_EDGE, appearance.uniform):
        return False
    contour = outline(distances(grey, background, lighter=appearance.lighter))
    return (
        contour is not None
        and contour.strength >= FAINTEST * appearance.strength
        and appearance.height.holds(contour.height, MARGIN)
        and appearance.width.holds(contour.width, MARGIN)
        and appearance.longest.holds(max(contour.height, contour.width), MARGIN)
        and appearance.mass_row.holds(contour.mass_row, MARGIN)
        and appearance.mass_column.holds(contour.mass_column, MARGIN)
        and appearance.box_row.holds(contour.box_row, MARGIN)
        and appearance.box_column.holds(contour.box_column, MARGIN)
    )


def _named(values: object, names: set[str], subject: str) -> Mapping[str, object]:
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"{subject} must have exactly the keys {', '.join(sorted(names))}")
    return values


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")  # noqa: TRY004 - the file's fault
    return value


def _spread_read(value: object, name: str) -> Distribution:
    names = [field.name for field in fields(Distribution)]
    entries = _named(value, set(names), name)
    numbers = [_share(entries[key], f"{name}.{key}") for key in names]
    if numbers != sorted(numbers):
        raise ValueError(f"{name} must rise from low to high")
    return Distribution(*numbers)


def _share(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return float(value)


def _word(value: object, name: str) -> str:
    if value not in get_args(Centring):
        raise ValueError(f"{name} must be one of {', '.join(get_args(Centring))}")
    return str(value)


@dataclass(frozen=True)
class Outline:
    """An object's bounding box and centre of mass, as shares of the picture's height and width."""

    top: float
    bottom: float
    left: float
    right: float
    mass_row: float
    mass_column: float
    strength: float

    @property
    def height(self) -> float:
        """The height of the bounding box."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """The width of the bounding box."""
        return self.right - self.left

    @property
    def box_row(self) -> float:
        """The row of the bounding box's centre."""
        return (self.top + self.bottom) / 2

    @property
    def box_column(self) -> float:
        """The column of the bounding box's centre."""
        return (self.left + self.right) / 2


def outline(distance: Float32[np.ndarray, "height width"]) -> Outline | None:
    """Return the outline of the object in an image of distances from the background; None for an empty image."""
    mask = object_mask(distance)
    if not mask.any():
        return None
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    total = float(distance.sum())
    return Outline(
        top=float(rows[0]) / height,
        bottom=float(rows[-1] + 1) / height,
        left=float(columns[0]) / width,
        right=float(columns[-1] + 1) / width,
        mass_row=float(distance.sum(axis=1) @ (np.arange(height) + 0.5)) / total / height,
        mass_column=float(distance.sum(axis=0) @ (np.arange(width) + 0.5)) / total / width,
        strength=float(np.percentile(distance[mask], 90)) / 255,
    )


def object_mask(distance: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The pixels that belong to the object; none in an empty picture."""
    strength = float(np.percentile(distance, STRONGEST))
    return distance > max(OBJECT * strength, SAME_LEVEL)


def distances(
    image: UInt8[np.ndarray, "height width"], background: float, *, lighter: bool
) -> Float32[np.ndarray, "height width"]:
    """How far each pixel is from the background towards the object, in [0, 255]."""
    difference = image.astype(np.float32) - np.float32(background)
    distance: Float32[np.ndarray, "height width"] = np.maximum(difference if lighter else -difference, 0)
    return distance
