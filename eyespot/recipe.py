"""Recipe: everything a training needs to be repeated; `recipe_parts` has its parts.

YAML keys and command-line options have the same names; an unknown key is an error that names the nearest one.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    ValidationError,
)

from eyespot.errors import RecipeError, unknown
from eyespot.recipe_parts import (
    DEFAULT_MODEL,
    AugmentationRecipe,
    CheckpointRecipe,
    ModelRecipe,
    Part,
    PicturesRecipe,
    SplitRecipe,
    TrainingRecipe,
)

Figure = Literal[
    "parameters", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
    "correct_after_rounding", "seconds_per_epoch",
]  # fmt: skip


DEPENDED_ON = ("dataset", "pictures", "split", "model", "augmentation", "training")

AnyPart = TypeVar("AnyPart", bound=Part)


class Published(Part):
    """What a tutorial prints of an experiment.

    `epoch`: which one its training and validation figures are of; the test's are of the epoch that is kept. `remarks`:
    of single figures, why they cannot be had again; `notes`: what was chosen where the tutorial does not say, or says
    two things.
    """

    source: str
    epoch: Literal["kept", "last"] = "kept"
    figures: dict[Figure, float] = Field(default_factory=dict)
    verdict: str | None = None
    history: dict[Literal["loss", "accuracy", "val_loss", "val_accuracy"], list[float]] = Field(default_factory=dict)
    remarks: dict[Figure, str] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class Recipe(Part):
    """A whole training: dataset, split, model, augmentation, training; published figures, if it reproduces something.

    `change`: how it differs from the recipe it is based on; `teaches`: what that shows.
    """

    name: str | None = None
    description: str | None = None
    variation_of: str | None = Field(default=None, description="the recipe it was made from by `change`")
    change: str | None = None
    teaches: str | None = None
    dataset: str = "digits"
    pictures: PicturesRecipe = PicturesRecipe()
    split: SplitRecipe = SplitRecipe()
    model: ModelRecipe = ModelRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()
    training: TrainingRecipe = TrainingRecipe()
    checkpoints: CheckpointRecipe = CheckpointRecipe()
    published: Published | None = None
    _where: str = PrivateAttr("the recipe")

    def settings(self) -> dict[str, Any]:
        """What a training depends on, by dotted names, as in `training.epochs`."""
        return _flattened(self.model_dump(mode="json", by_alias=True, include=set(DEPENDED_ON)))

    @property
    def where(self) -> str:
        """What it was read from, for sentences about it."""
        return self._where

    @classmethod
    def parse(cls, values: dict[str, Any], where: str = "the recipe") -> "Recipe":
        """Builds a recipe from plain values.

        Raises:
            RecipeError: naming the first key that is unknown or whose value is out of range.
        """
        recipe = parse_part(cls, values, where)
        recipe._where = where
        return recipe

    def with_options(self, options: dict[str, Any]) -> "Recipe":
        """The recipe with some settings changed, by the names the command line gives them; None leaves one as it is.

        Raises:
            RecipeError: an option is unknown or out of range.
        """
        values = self.model_dump(by_alias=True)
        for name, value in options.items():
            if name not in OPTIONS:
                raise RecipeError(unknown("option", name, OPTIONS))
            part, key = OPTIONS[name]
            if value is not None:
                values[part][key] = value
                if OPTIONS[name] in REPLACES_LAYERS:
                    values["model"] |= {"layers": None, "rescale": True}
                if name == "augment" and self.augmentation.policy not in {"none", value}:
                    values["augmentation"] = {"policy": value}  # the other policy's values go with it
        changed = Recipe.parse(values, where="the options")
        changed._where = self._where
        return changed

    def dump(self) -> str:
        """The recipe as YAML, in the order it is read."""
        values = self.model_dump(mode="json", by_alias=True)
        told = {key: value for key, value in values.items() if value is not None}
        return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110)

    def settled(
        self,
        dataset: str,
        *,
        validation_given: bool,
        pictures: PicturesRecipe | None = None,
        augmentation: AugmentationRecipe | None = None,
    ) -> "Recipe":
        """The recipe with its dataset, split, model and augmentation named, where they were left open.

        Args:
            dataset: its name, or the path of a user's own pictures.
            validation_given: it comes with a validation split.
            pictures: how a user's own were read.
            augmentation: settled by its pictures; None: it stays as it is.
        """
        values = self.model_dump(by_alias=True)
        values["dataset"] = dataset
        if pictures:
            values["pictures"] = pictures.model_dump()
        values["split"]["method"] = self.split.method_for(given=validation_given)
        values["augmentation"] = (augmentation or self.augmentation).model_dump()
        values["model"]["name"] = self.model.name or (None if self.model.start or self.model.layers else DEFAULT_MODEL)
        return Recipe.parse(values, where=self._where)


OPTIONS = {
    "model": ("model", "name"),
    "start": ("model", "from"),  # `from` is a word of Python's own
    "freeze": ("model", "freeze"),
    "input_range": ("model", "input_range"),
    "split": ("split", "method"),
    "fraction": ("split", "fraction"),
    "stratify": ("split", "stratify"),
    **{name: ("pictures", name) for name in PicturesRecipe.model_fields},
    "augment": ("augmentation", "policy"),
    **{name: ("training", name) for name in TrainingRecipe.model_fields},
}


REPLACES_LAYERS = (("model", "name"), ("model", "from"))


def parse_part(kind: type[AnyPart], values: dict[str, Any], where: str) -> AnyPart:
    """Builds any part of a file from plain values.

    Raises:
        RecipeError: naming the first key that is unknown or whose value is out of range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_sentence(kind, error, where)) from None


def _sentence(recipe: type[BaseModel], error: ValidationError, where: str) -> str:
    """The first problem Pydantic found, in the words of a recipe's writer."""
    problem = error.errors()[0]
    *parents, key = [str(part) for part in problem["loc"]] or ["recipe"]
    dotted = ".".join([*parents, key])
    if problem["type"] == "extra_forbidden":
        part: Any = recipe
        for parent in parents:
            part = get_args(part)[0] if parent.isdecimal() else _fields(part)[parent].annotation
        return f"In {where}: " + unknown("key", dotted, [".".join([*parents, name]) for name in _fields(part)])
    if problem["type"] == "literal_error":
        return f"In {where}: {dotted} must be {problem['ctx']['expected']}; received {problem['input']!r}."
    if problem["type"] == "value_error":
        return f"In {where}: {problem['ctx']['error']}."
    return f"In {where}: {dotted}: {problem['msg'].lower()}; received {problem['input']!r}."


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flattened(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _fields(part: type[BaseModel]) -> dict[str, Any]:
    """By the names that files give them."""
    return {field.alias or name: field for name, field in part.model_fields.items()}
