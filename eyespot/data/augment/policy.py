"""Augmentation policies: which changes leave an image in its class, and which policy suits a dataset."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from eyespot.data.dataset import Dataset
from eyespot.data.pixels import border_median
from eyespot.errors import RecipeError
from eyespot.recipe.data_recipe import AugmentationRecipe
from eyespot.recipe.option_types import Policy
from eyespot.shapes import UInt8

WORDS = {
    "shift": "shift up to {:.0%}",
    "rotate": "rotate up to {:g}°",
    "zoom": "zoom up to {:.0%}",
    "flip_horizontal": "flip left-right",
    "flip_vertical": "flip upside down",
    "brightness": "brightness ±{:.0%}",
    "contrast": "contrast ±{:.0%}",
    "erase": "a rectangle erased in {:.0%} of them",
    "mixup": "mixup, alpha {:g}",
    "cutmix": "cutmix, alpha {:g}",
}
CHARACTER_SETS = {"digits", "mnist", "kmnist", "emnist", "emnist-letters", "svhn"}  # whatever their classes are called
NUMBER_WORDS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
SIDES = {"left", "right", "leftward", "rightward", "leftwards", "rightwards"}
# Share of pixels that are clearly not background: strokes leave more of an image empty than things do. Medians over
# training images: MNIST 0.15 (of its digits, at most 0.19), Fashion-MNIST 0.40 (of its classes, from 0.20 for sandals
# to 0.56 for coats). The bound was chosen on these; a data set of sandals alone would not be flipped.
MOST_INK_OF_STROKES = 0.3
LOOKED_AT = 500  # images


def resolve_policy(recipe: AugmentationRecipe, dataset: Dataset) -> AugmentationRecipe:
    """The recipe with a policy's name instead of `auto`, and with all that the policy does.

    Args:
        dataset: its training images and class names decide; no other split is looked at.
    """
    if recipe.policy == "none":
        return recipe
    if recipe.policy != "auto":
        return _stated(recipe.policy, changes_for(recipe))
    policy = kind_of(dataset)
    changes = POLICIES[policy]
    if _tells_left_from_right(dataset.class_names):
        changes = replace(changes, flip_horizontal=False)
    return _stated(policy, replace(changes, **_said(recipe)))


@dataclass(frozen=True)
class Changes:
    """How much of each change there may be, as in `AugmentationRecipe`; nothing, by default."""

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    fill: Literal["background", "edge"] = "background"

    @property
    def moves(self) -> bool:
        """Whether pixels change their positions."""
        return bool(self.shift or self.rotate or self.zoom or self.flip_horizontal or self.flip_vertical)

    @property
    def shades(self) -> bool:
        """Whether pixels change their values."""
        return bool(self.brightness or self.contrast)

    @property
    def mixes(self) -> bool:
        """Whether an image may show two classes."""
        return bool(self.mixup or self.cutmix)

    @property
    def any(self) -> bool:
        """Whether anything changes."""
        return self.moves or self.shades or self.mixes or bool(self.erase)

    def describe(self) -> str:
        """Describe the changes: "shift up to 8 %, rotate up to 10°, flip left-right"."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        phrases = [words.format(values[name]) for name, words in WORDS.items() if values[name]]
        return ", ".join(phrases) or "nothing is changed"


def _stated(policy: Policy, changes: Changes) -> AugmentationRecipe:
    return AugmentationRecipe(policy=policy, **asdict(changes))


def changes_for(recipe: AugmentationRecipe) -> Changes:
    """Return the changes that a recipe makes.

    Raises:
        RecipeError: its policy is `auto`, which only images can settle.
    """
    if recipe.policy == "auto":
        raise RecipeError("augmentation.policy: auto is settled by a dataset's images; name a policy instead.")
    return replace(POLICIES[recipe.policy], **_said(recipe))


# Characters are never flipped: a mirrored one is another, or none. Small images of one object in the middle of an
# empty background may come with background from outside; photographs, which go on beyond their edges, with their edge.
POLICIES: dict[Policy, Changes] = {
    "none": Changes(),
    "digits": Changes(shift=0.08, rotate=10, zoom=0.1),
    "objects": Changes(shift=0.08, zoom=0.1, flip_horizontal=True),
    "photos": Changes(
        shift=0.1, zoom=0.1, flip_horizontal=True, brightness=0.15, contrast=0.2, erase=0.25, fill="edge"
    ),
}


def _said(recipe: AugmentationRecipe) -> dict[str, Any]:
    """Return the keys that the recipe states."""
    return {key: value for key, value in recipe.model_dump().items() if key != "policy"}


def kind_of(dataset: Dataset) -> Policy:
    """The policy that suits a dataset.

    Characters by the name of the dataset or of all classes (single characters, numbers, "digit 3", "seven"), or because
    its images are grey and drawn in strokes; grey objects; photographs, which is anything in colour.
    """
    if dataset.name.lower() in CHARACTER_SETS or all(map(_names_character, dataset.class_names)):
        return "digits"
    rows = np.unique(np.linspace(0, len(dataset.train) - 1, LOOKED_AT).astype(np.int64))
    images = dataset.train.images[rows]
    if images.shape[3] > 1 and (images != images[..., :1]).any():
        return "photos"
    return "digits" if _ink(images) < MOST_INK_OF_STROKES else "objects"


def _names_character(name: str) -> bool:
    last = re.split(r"[\s_-]+", name.strip())[-1].lower()
    return len(name.strip()) == 1 or last.isdecimal() or last in NUMBER_WORDS


def _ink(images: UInt8[np.ndarray, "n height width channels"]) -> float:
    """The share of pixels that differ from the border's median by a quarter of what any does; median over images."""
    values = images[..., 0].astype(np.float32)
    distances = np.abs(values - border_median(images[..., :1])[:, None])
    strongest = np.maximum(distances.max(axis=(1, 2), keepdims=True), 1)
    return float(np.median((distances > strongest / 4).mean(axis=(1, 2))))


def _tells_left_from_right(class_names: Sequence[str]) -> bool:
    return any(word in SIDES for name in class_names for word in re.split(r"[\W_]+", name.lower()))
