"""The parts of a recipe about its images: how they are read, split and changed."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, model_serializer, model_validator

from eyespot.recipe.option_types import Policy, Resizing, SplitMethod
from eyespot.recipe.options import Option
from eyespot.recipe.parts import RecipePart

Side = Annotated[int, Field(ge=1, le=4096)]


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
    """How a user's own images become arrays; datasets that go by name leave nothing to choose.

    `resize`: `pad` keeps the shape and fills up with the colour of the image's edge, `crop` keeps the shape and cuts
    off what stands out, `squash` changes the shape.
    """

    size: Annotated[PictureSize | None, Option("Data", unset="the backbone's size, or the commonest")] = Field(
        default=None, description="Size of the images in pixels: one side, as 28, or height and width, as 28x32"
    )
    resize: Annotated[Resizing, Option("Data")] = Field(default="pad", description="How images are brought to one size")
    color: Annotated[bool | None, Option("Data", unset="grey where all images are", negative="--grey")] = Field(
        default=None, description="Read images in colour or in grey"
    )
    class_names: Annotated[str | None, Option("Data", unset="folder names or labels as they are")] = Field(
        default=None, description="File that names the class of each folder or label (.yaml, .json, .csv)"
    )
    image_column: Annotated[str | None, Option("Data", unset="guessed by its name")] = Field(
        default=None, description="Column of a table, or array of a .npz file, with the images"
    )
    label_column: Annotated[str | None, Option("Data", unset="guessed by its name")] = Field(
        default=None, description="Column of a table, or array of a .npz file, with the labels"
    )
    split_column: Annotated[str | None, Option("Data", unset="guessed by its name")] = Field(
        default=None, description="Column of a table with the split of each row"
    )
    max_bytes: Annotated[int, Option("Data")] = Field(
        default=100_000_000, ge=1, description="Largest image file in bytes; larger ones are left out"
    )
    max_pixels: Annotated[int, Option("Data")] = Field(
        default=64_000_000, ge=1, description="Largest image in pixels; larger ones are left out"
    )
    drop_leaks: Annotated[bool, Option("Data")] = Field(
        default=False, description="Leave out training images that are also validation or test images"
    )


class SplitRecipe(RecipePart):
    """Where validation and test data come from.

    `fraction`: a random share of the training images, the same share of each class where `stratify`
    (scikit-learn's `train_test_split`); `last`: the last rows, as Keras's `validation_split` takes them; `given`: the
    split the dataset came with; `none`: no validation data; `test`: the test images, as some tutorials have it, which
    leaves none for an honest test.

    `test_fraction`: a random share of the training images becomes the test images of a dataset that comes without;
    the same images whatever the training's seed.
    """

    method: Annotated[
        SplitMethod | None,
        Option("Data", name="split", unset="given where the dataset comes with a validation split, else fraction"),
    ] = Field(default=None, description="Where validation data comes from")
    fraction: Annotated[float, Option("Data")] = Field(
        default=0.1, description="Share of the training images to validate on, between 0 and 1"
    )
    stratify: Annotated[bool, Option("Data")] = Field(
        default=True, description="Take the same share of each class for validation, and for test"
    )
    test_fraction: Annotated[float | None, Option("Data", unset="none are held out")] = Field(
        default=None, gt=0, lt=1, description="Share of the images to hold out as test images, where they come without"
    )
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="None: derived from the training seed")

    def method_for(self, *, given: bool) -> str:
        """The method, decided where it was left open: given, where the dataset comes with a validation split."""
        return self.method or ("given" if given else "fraction")

    @model_validator(mode="after")
    def _fraction_leaves_both_sides_something(self) -> "SplitRecipe":
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"`split.fraction` must lie strictly between 0 and 1; received {self.fraction:g}. For no validation "
                "data use `split.method='none'`"
            )
        return self


class AugmentationRecipe(RecipePart):
    """How training images are changed at random, afresh in every step; validation and test images never are.

    A key that is None is as the policy has it, and off where there is none. `auto` is settled by the class names and
    the images; the run's recipe then names the policy and all of its values.
    """

    policy: Annotated[Policy, Option("Data", name="augment")] = Field(
        default="none", description="Augmentation of the training images, chosen for a kind of image"
    )
    shift: FiniteFloat | None = Field(default=None, ge=0, le=0.5, description="Share of height and width, either way")
    rotate: FiniteFloat | None = Field(default=None, ge=0, le=180, description="Degrees, either way")
    zoom: FiniteFloat | None = Field(default=None, ge=0, le=1, description="0.1: from 1/1.1 to 1.1 times the size")
    flip_horizontal: bool | None = Field(default=None, description="Every other image, left for right")
    flip_vertical: bool | None = Field(default=None, description="Every other image, upside down")
    brightness: FiniteFloat | None = Field(default=None, ge=0, le=1, description="Share of 255, added or taken away")
    contrast: FiniteFloat | None = Field(default=None, ge=0, le=1, description="0.2: 0.8 to 1.2 times, about the mean")
    erase: FiniteFloat | None = Field(default=None, ge=0, le=1, description="Probability of a rectangle of one colour")
    mixup: FiniteFloat | None = Field(default=None, ge=0, le=10, description="Alpha: the shares are Beta(alpha, alpha)")
    cutmix: FiniteFloat | None = Field(
        default=None, ge=0, le=10, description="Alpha, as of mixup; with both, an image gets one of them"
    )
    fill: Literal["background", "edge"] | None = Field(
        default=None, description="Fill of what a shift uncovers: the border's median colour (None), or nearest pixels"
    )

    @model_serializer(mode="wrap")
    def _only_what_is_said(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Leave out keys that are None, which would be most of a recipe."""
        return {key: value for key, value in serialize(self).items() if value is not None}
