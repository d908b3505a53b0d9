"""What a search may change of a recipe: for each key a range or a list of values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, FiniteFloat, model_validator

from eyespot.backend import keras
from eyespot.data.augment.policy import kind_of
from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, ModelError, RecipeError
from eyespot.models.architectures import build_recipe
from eyespot.models.layers import dropout_rate, layers_of
from eyespot.recipe.parts import RecipePart, parse_part
from eyespot.recipe.recipe_files import read_yaml
from eyespot.recipe.schema import Recipe
from eyespot.studies.plan import NOT_VARIED

# Optimizers that take the same learning rates, so that one range suits them all.
ALIKE = ("adam", "adamw", "nadam")
FEW, MANY = 5_000, 50_000  # training images: what batch sizes are tried
BATCHES = {FEW: (16, 32, 64, 128), MANY: (32, 64, 128, 256)}
BATCHES_BEYOND = (64, 128, 256, 512)
WIDTHS = (0.75, 1.0, 1.5, 2.0)
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4)
RATES = 10**0.5  # the learning rate is searched from this much below the recipe's to ten times it
Value = bool | int | float | str | None


def read_space(path: Path) -> dict[str, Any]:
    """Reads a file that says for each key a list of values, or `low`, `high` and `log`.

    Raises:
        RecipeError: it is not of that form.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or not values:
        raise RecipeError(
            f"{path} holds no search space: expected keys such as training.learning_rate, with low and high."
        )
    return values


class Range(RecipePart):
    """All numbers between two ends; whole ones where both ends are.

    `log`: as many are tried between 0.001 and 0.01 as between 0.01 and 0.1.
    """

    low: int | FiniteFloat
    high: int | FiniteFloat
    log: bool = False

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"a range's low must be below its high; received {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0; received {self.low:g}")
        return self

    def around(self, value: float) -> "Range":
        """The range, wide enough for a value."""
        return Range(low=min(self.low, value), high=max(self.high, value), log=self.log and value > 0)


Space = dict[str, list[Any] | Range]


def space_of(values: Mapping[str, Any], recipe: Recipe, base: Mapping[str, Any], where: str) -> Space:
    """A search space, with the recipe's own values in it.

    Args:
        values: for each key a list, or `low`, `high` and `log`.
        base: the recipe's own value of keys that it leaves open.

    Raises:
        RecipeError: a key is unknown, cannot be searched, or a value does not fit the recipe.
    """
    space: Space = {}
    for key, value in values.items():
        if key in NOT_VARIED or key.startswith("split."):
            raise RecipeError(f"In {where}: {key} cannot be searched: all trials are judged on the same images.")
        allowed = value if isinstance(value, Range) else _parsed(key, value, where)
        for candidate in (allowed.low, allowed.high) if isinstance(allowed, Range) else allowed:
            recipe.with_settings({key: candidate}, where)
        space[key] = _with_own(key, allowed, own_value(recipe, key, base), where)
    return space


def _parsed(key: str, value: Any, where: str) -> list[Any] | Range:
    if not isinstance(value, list | dict) or value == []:
        raise RecipeError(f"In {where}: {key} takes a list of values, or low and high; received {value!r}.")
    if isinstance(value, dict):
        return parse_part(Range, value, f"{where}, {key}")
    return list(parse_part(_Key, {"values": value}, f"{where}, {key}").values)


class _Key(RecipePart):
    """One key of a space, as a file has it."""

    values: list[Value] | Range = Field(description="a list of values, or low and high")


def _with_own(key: str, allowed: list[Any] | Range, own: Any, where: str) -> list[Any] | Range:
    if isinstance(allowed, list):
        return allowed if own in allowed else [own, *allowed]
    if not isinstance(own, int | float) or isinstance(own, bool):
        raise RecipeError(
            f"In {where}: {key} is no number in the recipe itself ({own!r}): state a list of values instead."
        )
    return allowed.around(own)


def own_value(recipe: Recipe, key: str, base: Mapping[str, Any]) -> Any:
    """A recipe's value of a key, or the default where it has none."""
    setting: Any = recipe.model_dump(by_alias=True)
    for name in key.split("."):
        setting = setting[int(name)] if isinstance(setting, list) else (setting or {}).get(name)
    return base.get(key) if setting is None else setting


def base_values(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """Defaults of keys that may be searched, where the recipe leaves them open."""
    training = recipe.training
    rate = float(keras.optimizers.get(training.optimizer).learning_rate)
    values: dict[str, Any] = {
        "training.learning_rate": round(rate, 9),
        "training.batch_size": training.batch_size_for(len(dataset.train)),
    }
    if recipe.model.start is None:
        try:
            layers, _ = layers_of(build_recipe(recipe, dataset.input_shape, dataset.classes))
        except ModelError:  # its code alone can change it
            return values
        values |= {"model.width": recipe.model.width or 1.0, "model.dropout": dropout_rate(layers)}
    return values


def default_space(recipe: Recipe, dataset: Dataset, base: Mapping[str, Any]) -> dict[str, Any]:
    """The search space by default: learning rate, batch size, schedule, and what else the recipe lets change."""
    training, pictures = recipe.training, len(dataset.train)
    rate = own_value(recipe, "training.learning_rate", base)
    sizes = next((sizes for limit, sizes in BATCHES.items() if pictures < limit), BATCHES_BEYOND)
    values: dict[str, Any] = {
        "training.learning_rate": Range(low=rate / RATES, high=rate * 10, log=True),
        "training.batch_size": [size for size in sizes if size <= pictures],
        "training.epochs": sorted({training.epochs, max(training.epochs + 1, round(1.5 * training.epochs))}),
    }
    if not training.warmup_epochs:
        values["training.schedule"] = ["constant", "cosine"]
    if training.early_stopping:
        values["training.patience"] = [training.patience, 2 * training.patience]
    if training.optimizer in ALIKE:
        values["training.optimizer"] = list(ALIKE)
    if recipe.augmentation.policy == "none":
        values["augmentation.policy"] = ["none", kind_of(dataset)]
    if base.get("model.width"):
        values["model.width"] = list(WIDTHS)
    if base.get("model.dropout"):
        values["model.dropout"] = list(DROPOUTS)
    return {key: value for key, value in values.items() if _fits(recipe, key, value)}


def _fits(recipe: Recipe, key: str, value: list[Any] | Range) -> bool:
    """Whether the recipe can take all of it."""
    try:
        for candidate in (value.low, value.high) if isinstance(value, Range) else value:
            recipe.with_settings({key: candidate})
    except EyespotError:
        return False
    return True


def starting_points(space: Space, own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The recipe's own settings, and what often does better, which is tried before the search goes its own way.

    More of everything that goes together: wider, with augmentation, a falling learning rate, and time to use them. On
    `digits`, with five seeds: mean validation loss 0.0067, the default 0.0170.
    """
    larger = {
        "training.learning_rate": 2 * own.get("training.learning_rate", 0),
        "training.batch_size": 2 * own.get("training.batch_size", 0),
        "training.schedule": "cosine",
        "training.patience": 2 * own.get("training.patience", 0),
        "model.width": 1.5,
    }
    policy = space.get("augmentation.policy")
    if isinstance(policy, list):
        larger["augmentation.policy"] = policy[-1]
    wider = {key: larger[key] for key in ("model.width", "training.schedule", "augmentation.policy") if key in larger}
    points = [dict(own)]
    for change in (larger, wider):
        point = {**own, **{key: value for key, value in change.items() if _holds(space.get(key), value)}}
        points += [] if point in points else [point]
    return points


def _holds(allowed: Sequence[Any] | Range | None, value: Any) -> bool:
    return (
        allowed.low <= value <= allowed.high if isinstance(allowed, Range) else allowed is not None and value in allowed
    )
