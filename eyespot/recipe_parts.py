"""The parts of a recipe, one Pydantic model each."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    model_serializer,
    model_validator,
)

from eyespot.errors import RecipeError

Optimizer = Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "lion"]

Schedule = Literal["constant", "cosine", "linear", "exponential"]

InputRange = Literal["auto", "0-255", "0-1", "-1-1", "standardised"]


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


Side = Annotated[int, Field(ge=1, le=4096)]
Size = Annotated[tuple[Side, Side], BeforeValidator(_size)]

DEFAULT_BATCH = 32  # Keras's own
DEFAULT_MODEL = "cnn"


class Part(BaseModel):
    """What all parts share: immutable, and no key that is not listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitRecipe(Part):
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


class PicturesRecipe(Part):
    """How a user's own pictures become arrays; datasets that go by name leave nothing to choose.

    `resize`: `pad` keeps the shape and fills up with the colour of the picture's edge, `crop` keeps the shape and cuts
    off what stands out, `squash` changes the shape.
    """

    size: Size | None = Field(default=None, description="height, or height and width; None: the commonest size")
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


class ModelRecipe(Part):
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


Policy = Literal["none", "auto", "digits", "objects", "photos"]


class AugmentationRecipe(Part):
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
        """Without keys that are None, which would be most of a recipe."""
        return {key: value for key, value in serialize(self).items() if value is not None}


class TrainingRecipe(Part):
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
        """The batch size for so many training pictures.

        Raises:
            RecipeError: the stated one is larger than that.
        """
        if self.batch_size and self.batch_size > pictures:
            raise RecipeError(
                f"The batch size {self.batch_size} is larger than the {pictures} training pictures: lower it."
            )
        return self.batch_size or min(pictures, DEFAULT_BATCH)

    def steps_for(self, pictures: int) -> int:
        """Of an epoch over so many training pictures."""
        return math.ceil(pictures / self.batch_size_for(pictures))


class CheckpointRecipe(Part):
    """How often a training writes down where it is; changes nothing of what it learns."""

    every_steps: int | None = Field(default=None, ge=1)
    every_minutes: FiniteFloat | None = Field(default=None, gt=0)
    keep: int = Field(default=2, ge=1, description="the latest so many; each holds the best weights so far too")
