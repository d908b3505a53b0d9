"""The schema of a recipe: everything that a training needs to be repeated, one Pydantic model a part.

A field with an `Option` is also an option of the command line, which is made from what stands here: name, type,
choices, range, default and description. An unknown key is an error that names the nearest one.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    model_validator,
)

from eyespot.errors import RecipeError, unknown
from eyespot.files import write_text
from eyespot.recipe.changes import apply_settings, describe_differences, settings_of
from eyespot.recipe.data_recipe import AugmentationRecipe, PicturesRecipe, SplitRecipe
from eyespot.recipe.option_types import Balanced, Engine, InputRange, Keep, Optimizer, Precision, Schedule
from eyespot.recipe.options import Option, options_of
from eyespot.recipe.parts import RecipePart, parse_part
from eyespot.recipe.recipe_files import find_recipe, read_values

DEFAULT_BATCH = 32  # Keras's own
DEFAULT_MODEL = "cnn"
BACKBONE_SIDES = {  # pretrained models by name, and the side in pixels of the images that their weights were trained on
    "efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260,
    "mobilenet-v3-small": 224, "mobilenet-v3-large": 224, "efficientnet-v2-b0": 224,
}  # fmt: skip
Figure = Literal[
    "parameters", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
    "correct_after_rounding", "seconds_per_epoch",
]  # fmt: skip
DEPENDED_ON = ("dataset", "pictures", "split", "model", "augmentation", "training")
REPLACES_LAYERS = {"model.name", "model.from"}


class ModelRecipe(RecipePart):
    """Which architecture, and which weights it starts from; a backbone brings its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Annotated[str | None, Option("Model", name="model", unset="cnn")] = Field(
        default=None,
        description="Architecture or backbone: a name (see eyespot models), path.py:function, or a .keras file",
    )
    layers: list[dict[str, Any]] | None = Field(
        default=None, min_length=1, description="Layers in order: `layer`, the name of a Keras layer, and its arguments"
    )
    rescale: bool = Field(default=True, description="With `layers`: divide pixels by 255 before the first layer")
    width: FiniteFloat | None = Field(
        default=None, gt=0, le=16, description="Factor on the width of every hidden layer; None: 1"
    )
    dropout: FiniteFloat | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Rate of the first dropout layer, the others in proportion; 0: no dropout",
    )
    start: Annotated[str | None, Option("Model", unset="random weights")] = Field(
        default=None, alias="from", description="Run or .keras file whose trained weights are the start"
    )
    freeze: Annotated[bool, Option("Model")] = Field(
        default=False, description="With trained weights: train only the head"
    )
    input_range: Annotated[InputRange, Option("Model")] = Field(
        default="auto",
        description="Pixel range that a model of your own expects (standardised: by the training images' mean and "
        "standard deviation)",
    )

    @property
    def is_backbone(self) -> bool:
        """Whether it is a pretrained model by name."""
        return self.name in BACKBONE_SIDES

    @model_validator(mode="after")
    def _one_origin(self) -> "ModelRecipe":
        if self.name and self.start:
            raise ValueError(
                f"starting from {self.start} keeps its architecture, so no other model can be named; received "
                f"{self.name!r}"
            )
        if self.start and (self.width is not None or self.dropout is not None):
            raise ValueError(
                f"starting from {self.start} keeps its architecture: leave out `model.width` and `model.dropout`"
            )
        if self.layers and (self.name or self.start):
            raise ValueError(f"`model.layers` is a model of its own: leave out {self.name or self.start}")
        if not self.rescale and not self.layers:
            raise ValueError("`model.rescale` goes with `model.layers`; a named model has its own beginning")
        return self


class TrainingRecipe(RecipePart):
    """How the weights are found."""

    optimizer: Annotated[Optimizer, Option("Optimiser")] = Field(default="adam", description="Optimizer of Keras")
    learning_rate: Annotated[FiniteFloat | None, Option("Optimiser", unset="the optimizer's own")] = Field(
        default=None, gt=0, description="Learning rate, at its highest where a schedule changes it"
    )
    batch_size: Annotated[int | None, Option("Optimiser", unset="32, or all where there are fewer")] = Field(
        default=None, ge=1, description="Training images in a step"
    )
    schedule: Annotated[Schedule, Option("Optimiser")] = Field(
        default="constant", description="Schedule of the learning rate over all epochs"
    )
    warmup_epochs: Annotated[FiniteFloat, Option("Optimiser")] = Field(
        default=0.0, ge=0, description="With the schedule cosine: epochs in which the learning rate rises from 0"
    )
    average: Annotated[FiniteFloat | None, Option("Optimiser", unset="no average")] = Field(
        default=None, gt=0, lt=1, description="Momentum of a moving average of the weights, which is evaluated and kept"
    )
    class_weights: Annotated[Balanced | None, Option("Data", unset="equal weights")] = Field(
        default=None, description="Class weights in the training loss, for rare classes"
    )
    resample: Annotated[Balanced | None, Option("Data", unset="each image once")] = Field(
        default=None, description="Sampling of the training images by class in each epoch"
    )
    epochs: Annotated[int, Option("Stopping")] = Field(
        default=30, ge=1, description="Largest number of passes over the training images"
    )
    early_stopping: Annotated[bool, Option("Stopping")] = Field(
        default=True, description="Stop when the validation loss stops falling"
    )
    patience: Annotated[int, Option("Stopping")] = Field(
        default=5, ge=1, description="Epochs without a lower validation loss before early stopping"
    )
    engine: Annotated[Engine, Option("Run")] = Field(default="eyespot", description="What executes the model")
    precision: Annotated[Precision, Option("Run")] = Field(
        default="auto", description="Number format of the engine (auto: bfloat16 where the processor multiplies it)"
    )
    keep: Annotated[Keep, Option("Stopping")] = Field(
        default="best", description="Epoch whose weights are kept (best: lowest validation loss)"
    )
    seed: Annotated[int, Option("Run")] = Field(
        default=0, ge=0, le=2**32 - 1, description="Seed of weights, order, dropout, augmentation and split"
    )
    deterministic: Annotated[bool, Option("Run")] = Field(
        default=False, description="On a GPU: use only kernels that give the same bits again"
    )

    @model_validator(mode="after")
    def _warmup_fits(self) -> "TrainingRecipe":
        if self.warmup_epochs and self.schedule != "cosine":
            raise ValueError(
                f"`training.warmup_epochs` needs `training.schedule='cosine'`; the schedule is {self.schedule!r}"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"`training.warmup_epochs` must be below the {self.epochs} epochs; received {self.warmup_epochs:g}"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_balanced_once(self) -> "TrainingRecipe":
        if self.class_weights and self.resample:
            raise ValueError("`training.class_weights` and `training.resample` do the same: leave one of them out")
        return self

    def batch_size_for(self, pictures: int) -> int:
        """Return the batch size for this number of training images.

        Raises:
            RecipeError: the stated one is larger than that.
        """
        if self.batch_size and self.batch_size > pictures:
            raise RecipeError(
                f"The batch size {self.batch_size} is larger than the {pictures} training images: lower it."
            )
        return self.batch_size or min(pictures, DEFAULT_BATCH)

    def steps_for(self, pictures: int) -> int:
        """Return the number of steps in an epoch over this number of training images."""
        return math.ceil(pictures / self.batch_size_for(pictures))


class CheckpointRecipe(RecipePart):
    """How often a training writes a checkpoint; changes nothing of what it learns."""

    every_steps: int | None = Field(default=None, ge=1, description="Steps between two checkpoints")
    every_minutes: FiniteFloat | None = Field(default=None, gt=0, description="Minutes between two checkpoints")
    keep: int = Field(
        default=2, ge=1, description="Number of the latest checkpoints to keep; each holds the best weights so far too"
    )


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

    Example:
        >>> recipe = eyespot.Recipe.read("mnist-cnn-small").with_options({"epochs": 3, "augment": "digits"})
        >>> training = eyespot.train(recipe=recipe)
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

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, wherever they were read from."""
        return isinstance(other, Recipe) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.dump())

    def settings(self) -> dict[str, Any]:
        """Return the settings that a training depends on, by dotted names, as in `training.epochs`."""
        return settings_of(self.model_dump(mode="json", by_alias=True, include=set(DEPENDED_ON)))

    def differences_to(self, other: "Recipe") -> list[str]:
        """Describe the settings that a training depends on and that differ in `other`, a few words each."""
        return describe_differences(self.settings(), other.settings())

    @property
    def reading(self) -> PicturesRecipe:
        """How images are read: at the size that a backbone was trained on, where no size is stated."""
        side = BACKBONE_SIDES.get(self.model.name or "")
        stated = self.pictures.size is not None or side is None
        return self.pictures if stated else self.pictures.model_copy(update={"size": (side, side)})

    @property
    def where(self) -> str:
        """The source of the recipe, for messages about it."""
        return self._where

    @classmethod
    def parse(cls, values: dict[str, Any], where: str | None = "the recipe") -> "Recipe":
        """Build a recipe from plain values; arguments as of `parse_part`.

        Raises:
            RecipeError: naming the first key that is unknown or whose value is out of range.
        """
        recipe = parse_part(cls, values, where)
        recipe._where = where or recipe._where
        return recipe

    @classmethod
    def read(cls, source: str | Path, settings: Mapping[str, object] | None = None) -> "Recipe":
        """Read a recipe from a YAML file, or one that comes with eyespot by its name.

        Args:
            source: the file's path, or the name.
            settings: keys to change, by their dotted names.

        Raises:
            RecipeError: there is no such recipe, it is not YAML, or it holds a key or value that does not fit; the
                sentence names the file, the key and the nearest valid one.

        Example:
            >>> recipe = eyespot.Recipe.read("mnist-cnn-small", {"training.epochs": 3})
            >>> training = eyespot.train(recipe=recipe)
        """
        path = find_recipe(source)
        return cls.parse(read_values(path, settings or {}), where=str(path))

    def write(self, path: str | Path) -> None:
        """Write the recipe to a YAML file, which `read` and `eyespot train` take; a file that is there is replaced.

        Args:
            path: of the file; its folder exists.

        Raises:
            OSError: the file cannot be written.

        Example:
            >>> eyespot.Recipe().with_options({"epochs": 3}).write("short.yaml")
        """
        write_text(Path(path), self.dump())

    def with_settings(self, settings: Mapping[str, Any], where: str | None = "the settings") -> "Recipe":
        """The recipe with keys changed, by their dotted names.

        Args:
            where: they are written, for the error; None: in options.

        Raises:
            RecipeError: a key is unknown, or its value does not fit.
        """
        if not settings:
            return self
        values = self.model_dump(by_alias=True)
        apply_settings(values, settings, where or "the options")
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
            if OPTIONS[name].key in REPLACES_LAYERS:
                settings |= {"model.layers": None, "model.rescale": True}
            if name == "augment" and self.augmentation.policy not in {"none", value}:
                settings["augmentation"] = {}  # the other policy's values go with it
            settings[OPTIONS[name].key] = value
        changed = self.with_settings(settings, where=None)
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
            dataset: its name, or the path of a user's own images.
            validation_given: it comes with a validation split.
            pictures: how a user's own were read.
            augmentation: settled by its images; None: it stays as it is.
        """
        values = self.model_dump(by_alias=True)
        values["dataset"] = dataset
        if pictures:
            values["pictures"] = pictures.model_dump()
        values["split"]["method"] = self.split.method_for(given=validation_given)
        values["augmentation"] = (augmentation or self.augmentation).model_dump()
        values["model"]["name"] = self.model.name or (None if self.model.start or self.model.layers else DEFAULT_MODEL)
        return Recipe.parse(values, where=self._where)


OPTIONS = options_of(Recipe)
