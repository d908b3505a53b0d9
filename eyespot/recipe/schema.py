"""The schema of a recipe: everything that a training needs to be repeated, one Pydantic model a part.

YAML keys and command-line options have the same names; an unknown key is an error that names the nearest one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    ValidationError,
    model_serializer,
    model_validator,
)

from eyespot.errors import RecipeError, unknown
from eyespot.recipe.changes import apply_settings, describe_differences, settings_of

Optimizer = Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "lion"]
Schedule = Literal["constant", "cosine", "linear", "exponential"]
InputRange = Literal["auto", "0-255", "0-1", "-1-1", "standardised"]
Side = Annotated[int, Field(ge=1, le=4096)]
DEFAULT_BATCH = 32  # Keras's own
DEFAULT_MODEL = "cnn"
Policy = Literal["none", "auto", "digits", "objects", "photos"]
Figure = Literal[
    "parameters", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
    "correct_after_rounding", "seconds_per_epoch",
]  # fmt: skip
DEPENDED_ON = ("dataset", "pictures", "split", "model", "augmentation", "training")
REPLACES_LAYERS = {"model.name", "model.from"}


class RecipePart(BaseModel):
    """What all parts share: immutable, and no key that is not listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _size(value: object) -> object:
    """One side stands for both, and text for numbers, as the command line has it: `28`, `28x32`."""
    sides = value.lower().split("x") if isinstance(value, str) else value
    return (
        (sides, sides)
        if isinstance(sides, int)
        else sides * 2
        if isinstance(sides, list) and len(sides) == 1
        else sides
    )


PictureSize = Annotated[tuple[Side, Side], BeforeValidator(_size)]


class PicturesRecipe(RecipePart):
    """How a user's own pictures become arrays; datasets that go by name leave nothing to choose.

    `resize`: `pad` keeps the shape and fills up with the colour of the picture's edge, `crop` keeps the shape and cuts
    off what stands out, `squash` changes the shape.
    """

    size: PictureSize | None = Field(default=None, description="height, or height and width; None: the commonest size")
    resize: Literal["pad", "crop", "squash"] = "pad"
    color: bool | None = Field(default=None, description="None: grey where all pictures are")
    class_names: str | None = Field(
        default=None, description="a file that says what each folder or label is called: YAML, JSON or CSV"
    )
    image_column: str | None = Field(default=None, description="of a table or .npz file; None: guessed by its name")
    label_column: str | None = Field(default=None, description="likewise")
    split_column: str | None = Field(default=None, description="likewise")
    max_bytes: int = Field(default=100_000_000, ge=1, description="a larger file is left out")
    max_pixels: int = Field(default=64_000_000, ge=1, description="a picture with more is left out")
    drop_leaks: bool = Field(default=False, description="leave out training pictures that are test pictures too")


class SplitRecipe(RecipePart):
    """Where validation data comes from.

    `fraction`: a random share of the training pictures, the same share of each class where `stratify`
    (scikit-learn's `train_test_split`); `last`: the last rows, as Keras's `validation_split` takes them; `given`: the
    split the dataset came with; `none`: no validation data; `test`: the test pictures, as some tutorials have it, which
    leaves none for an honest test.
    """

    method: Literal["fraction", "last", "given", "none", "test"] | None = Field(
        default=None, description="None: given where the dataset comes with one, else fraction"
    )
    fraction: float = Field(default=0.1, description="share of the training pictures, between 0 and 1")
    stratify: bool = True
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="None: derived from the training seed")

    def method_for(self, *, given: bool) -> str:
        """The method, decided where it was left open: given, where the dataset comes with a validation split."""
        return self.method or ("given" if given else "fraction")

    @model_validator(mode="after")
    def _fraction_leaves_both_sides_something(self) -> "SplitRecipe":
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"the validation fraction must lie strictly between 0 and 1; received {self.fraction:g}. "
                "For no validation data use the split method 'none'"
            )
        return self


class ModelRecipe(RecipePart):
    """Which architecture, and which weights it starts from."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str | None = Field(
        default=None,
        description="a known architecture, path.py:function, or a .keras file; None: cnn, or as the others have it",
    )
    layers: list[dict[str, Any]] | None = Field(
        default=None, min_length=1, description="one after the other: `layer`, the name of a Keras layer; its arguments"
    )
    rescale: bool = Field(default=True, description="with `layers`: pixels / 255 before the first of them")
    width: FiniteFloat | None = Field(
        default=None, gt=0, le=16, description="every hidden layer so many times as wide; None: as it is described"
    )
    dropout: FiniteFloat | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="rate of the first dropout layer, the others in proportion; 0: none of them",
    )
    start: str | None = Field(default=None, alias="from", description="a run or a .keras file with trained weights")
    freeze: bool = Field(default=False, description="train only the head")
    input_range: InputRange = Field(
        default="auto", description="pixels that a model of your own expects; auto: found out, and named in the run"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "ModelRecipe":
        if self.name and self.start:
            raise ValueError(
                f"starting from {self.start} keeps its architecture, so no other model can be named; received "
                f"{self.name!r}"
            )
        if self.start and (self.width is not None or self.dropout is not None):
            raise ValueError(f"starting from {self.start} keeps its architecture: leave out model.width, model.dropout")
        if self.layers and (self.name or self.start):
            raise ValueError(f"model.layers is a model of its own: leave out {self.name or self.start}")
        if not self.rescale and not self.layers:
            raise ValueError("model.rescale goes with model.layers; a named model has its own beginning")
        return self


class AugmentationRecipe(RecipePart):
    """How training pictures are changed at random, afresh in every step; validation and test pictures never are.

    A key that is None is as the policy has it, and off where there is none. `auto` is settled by the class names and
    the pictures; the run's recipe then names the policy and all of its values.
    """

    policy: Policy = Field(default="none", description="digits: of characters in any script; photos: in colour")
    shift: FiniteFloat | None = Field(default=None, ge=0, le=0.5, description="share of height and width, either way")
    rotate: FiniteFloat | None = Field(default=None, ge=0, le=180, description="degrees, either way")
    zoom: FiniteFloat | None = Field(default=None, ge=0, le=1, description="0.1: from 1/1.1 to 1.1 times the size")
    flip_horizontal: bool | None = Field(default=None, description="every other picture, left for right")
    flip_vertical: bool | None = Field(default=None, description="every other picture, upside down")
    brightness: FiniteFloat | None = Field(default=None, ge=0, le=1, description="share of 255, added or taken away")
    contrast: FiniteFloat | None = Field(default=None, ge=0, le=1, description="0.2: 0.8 to 1.2 times, about the mean")
    erase: FiniteFloat | None = Field(default=None, ge=0, le=1, description="probability of a rectangle of one colour")
    mixup: FiniteFloat | None = Field(default=None, ge=0, le=10, description="alpha: the shares are Beta(alpha, alpha)")
    cutmix: FiniteFloat | None = Field(default=None, ge=0, le=10, description="the same; with both, one a picture")
    fill: Literal["background", "edge"] | None = Field(
        default=None, description="of what a shift uncovers: the border's median colour (None), or its nearest pixels"
    )

    @model_serializer(mode="wrap")
    def _only_what_is_said(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Leave out keys that are None, which would be most of a recipe."""
        return {key: value for key, value in serialize(self).items() if value is not None}


class TrainingRecipe(RecipePart):
    """How the weights are found."""

    optimizer: Optimizer = "adam"
    learning_rate: FiniteFloat | None = Field(default=None, gt=0, description="None: the optimizer's own default")
    batch_size: int | None = Field(default=None, ge=1, description="None: 32, or all where there are fewer")
    schedule: Schedule = Field(default="constant", description="of the learning rate, over all epochs")
    warmup_epochs: FiniteFloat = Field(default=0.0, ge=0, description="with cosine: rises from 0 in so many epochs")
    average: FiniteFloat | None = Field(
        default=None, gt=0, lt=1, description="momentum of a moving average of the weights, which is judged and kept"
    )
    class_weights: Literal["balanced"] | None = Field(
        default=None, description="of the training loss; balanced: n / (classes * the class's pictures)"
    )
    resample: Literal["balanced"] | None = Field(
        default=None, description="balanced: an epoch, as long as ever, has as many pictures of each class"
    )
    epochs: int = Field(default=30, ge=1)
    early_stopping: bool = True
    patience: int = Field(default=5, ge=1, description="epochs without a lower validation loss before stopping")
    engine: Literal["eyespot", "keras"] = Field(default="eyespot", description="what executes the model")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="of the engine; auto: bfloat16 where the processor multiplies it natively"
    )
    keep: Literal["best", "last"] = Field(default="best", description="best: by validation loss")
    seed: int = Field(default=0, ge=0, lt=2**32)
    deterministic: bool = Field(default=False, description="on a GPU: only kernels that give the same bits again")

    @model_validator(mode="after")
    def _warmup_fits(self) -> "TrainingRecipe":
        if self.warmup_epochs and self.schedule != "cosine":
            raise ValueError(f"training.warmup_epochs goes with the schedule cosine; received {self.schedule!r}")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"training.warmup_epochs must be below the {self.epochs} epochs; received {self.warmup_epochs:g}"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_balanced_once(self) -> "TrainingRecipe":
        if self.class_weights and self.resample:
            raise ValueError("training.class_weights and training.resample do the same: leave one of them out")
        return self

    def batch_size_for(self, pictures: int) -> int:
        """Return the batch size for this number of training images.

        Raises:
            RecipeError: the stated one is larger than that.
        """
        if self.batch_size and self.batch_size > pictures:
            raise RecipeError(
                f"The batch size {self.batch_size} is larger than the {pictures} training pictures: lower it."
            )
        return self.batch_size or min(pictures, DEFAULT_BATCH)

    def steps_for(self, pictures: int) -> int:
        """Return the number of steps in an epoch over this number of training images."""
        return math.ceil(pictures / self.batch_size_for(pictures))


class CheckpointRecipe(RecipePart):
    """How often a training writes down where it is; changes nothing of what it learns."""

    every_steps: int | None = Field(default=None, ge=1)
    every_minutes: FiniteFloat | None = Field(default=None, gt=0)
    keep: int = Field(default=2, ge=1, description="the latest so many; each holds the best weights so far too")


class Published(RecipePart):
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


class Recipe(RecipePart):
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
        """Return the settings that a training depends on, by dotted names, as in `training.epochs`."""
        return settings_of(self.model_dump(mode="json", by_alias=True, include=set(DEPENDED_ON)))

    def differences_to(self, other: "Recipe") -> list[str]:
        """Describe the settings that a training depends on and that differ in `other`, a few words each."""
        return describe_differences(self.settings(), other.settings())

    @property
    def where(self) -> str:
        """The source of the recipe, for messages about it."""
        return self._where

    @classmethod
    def parse(cls, values: dict[str, Any], where: str = "the recipe") -> "Recipe":
        """Build a recipe from plain values.

        Raises:
            RecipeError: naming the first key that is unknown or whose value is out of range.
        """
        recipe = parse_part(cls, values, where)
        recipe._where = where
        return recipe

    def with_settings(self, settings: Mapping[str, Any], where: str = "the settings") -> "Recipe":
        """The recipe with keys changed, by their dotted names.

        Args:
            where: they are written, for the error.

        Raises:
            RecipeError: a key is unknown, or its value does not fit.
        """
        if not settings:
            return self
        values = self.model_dump(by_alias=True)
        apply_settings(values, settings, where)
        return Recipe.parse(values, where=where)

    def with_options(self, options: Mapping[str, Any]) -> "Recipe":
        """The recipe with some settings changed, by the names the command line gives them; None leaves one as it is.

        Raises:
            RecipeError: an option is unknown or out of range.
        """
        settings: dict[str, Any] = {}
        for name, value in options.items():
            if name not in OPTIONS:
                raise RecipeError(unknown("option", name, OPTIONS))
            if value is None:
                continue
            if OPTIONS[name] in REPLACES_LAYERS:
                settings |= {"model.layers": None, "model.rescale": True}
            if name == "augment" and self.augmentation.policy not in {"none", value}:
                settings["augmentation"] = {}  # the other policy's values go with it
            settings[OPTIONS[name]] = value
        changed = self.with_settings(settings, where="the options")
        changed._where = self._where
        return changed

    def dump(self) -> str:
        """The recipe as YAML, in the order it is read."""
        values = self.model_dump(mode="json", by_alias=True)
        stated = {key: value for key, value in values.items() if value is not None}
        return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True, width=110)

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


AnyPart = TypeVar("AnyPart", bound=RecipePart)


def parse_part(kind: type[AnyPart], values: dict[str, Any], where: str) -> AnyPart:
    """Build any part of a file from plain values.

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


def _fields(part: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a part, by the names that files give them."""
    return {field.alias or name: field for name, field in part.model_fields.items()}


# The key of each option of the command line.
OPTIONS = {
    "model": "model.name",
    "start": "model.from",  # `from` is a word of Python's own
    "freeze": "model.freeze",
    "input_range": "model.input_range",
    "split": "split.method",
    "fraction": "split.fraction",
    "stratify": "split.stratify",
    **{name: f"pictures.{name}" for name in PicturesRecipe.model_fields},
    "augment": "augmentation.policy",
    **{name: f"training.{name}" for name in TrainingRecipe.model_fields},
}
