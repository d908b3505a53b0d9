from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from eyespot.data.augment.policy import POLICIES, WORDS, Changes, changes_for, kind_of, resolve_policy
from eyespot.data.dataset import Dataset, Split
from eyespot.data.load import load
from eyespot.errors import RecipeError
from eyespot.recipe.data_recipe import AugmentationRecipe
from tests.conftest import needs_real_data


def test_every_key_of_the_recipe_is_a_change_and_has_words():
    """The recipe's part, the plain numbers and their description name the same things."""
    names = {field.name for field in fields(Changes)}
    assert set(AugmentationRecipe.model_fields) == names | {"policy"}
    assert set(WORDS) == names - {"fill"}


def test_nothing_is_nothing():
    """The default does nothing, and says so; each change alone does something."""
    assert not Changes().any
    assert Changes().describe() == "nothing is changed"
    for name in WORDS:
        setting: dict[str, Any] = {name: True if name.startswith("flip") else 1.0}
        alone = Changes(**setting)
        assert alone.any
        assert alone.describe() != "nothing is changed"
        assert [alone.moves, alone.shades, alone.mixes, bool(alone.erase)].count(True) == 1


def dataset(names: tuple[str, ...], images: Any, name: str = "mine") -> Dataset:
    labels = np.arange(len(images)) % len(names)
    return Dataset(name, names, Split(images, labels))


def things(channels: int = 1) -> np.ndarray:
    """Bright blobs that fill most of a dark image, in colour where there are three channels."""
    images = np.zeros((20, 16, 16, channels), np.uint8)
    images[:, 2:14, 2:14] = np.random.default_rng(0).integers(100, 250, (20, 12, 12, channels))
    return images


def strokes() -> np.ndarray:
    """One line on white paper."""
    images = np.full((20, 16, 16, 1), 255, np.uint8)
    for number, image in enumerate(images):
        image[2:14, 5 + number % 4] = 0
    return images


@pytest.mark.parametrize(
    ("names", "images", "name", "expected"),
    [
        (("0", "1", "2"), things(3), "mine", "digits"),
        (("digit 3", "digit 7"), things(), "mine", "digits"),
        (("a", "b"), things(), "mine", "digits"),
        (("あ", "い"), things(), "mine", "digits"),
        (("three", "Seven"), things(3), "mine", "digits"),
        (("o", "ki"), things(), "kmnist", "digits"),
        (("alpha", "beta"), strokes(), "mine", "digits"),
        (("cup", "bowl"), things(), "mine", "objects"),
        (("cup", "bowl"), np.repeat(things(), 3, axis=3), "mine", "objects"),
        (("cup", "bowl"), things(3), "mine", "photos"),
    ],
)
def test_the_kind_of_picture_is_told(names: tuple[str, ...], images: Any, name: str, expected: str):
    """By class names, the dataset's name, colour, and how much of an image is drawn on."""
    assert kind_of(dataset(names, images, name)) == expected


def test_the_embedded_digits_are_digits():
    """Their name and their classes say so."""
    assert kind_of(load("digits")) == "digits"


@needs_real_data
def test_mnist_is_strokes_and_fashion_mnist_is_not():
    """Also where their names do not tell: the bound was set by these two."""
    for name, expected in (("mnist", "digits"), ("fashion-mnist", "objects")):
        train = load(name).train
        unnamed = Dataset("unnamed", tuple(f"class {chr(65 + k)}x" for k in range(10)), train)
        assert kind_of(unnamed) == expected
        assert kind_of(load(name)) == expected


def test_characters_are_never_flipped():
    """A mirrored letter is another one, or none."""
    changes = POLICIES["digits"]
    assert (changes.flip_horizontal, changes.flip_vertical, changes.moves) == (False, False, True)
    assert not any(changes.flip_vertical for changes in POLICIES.values())


@pytest.mark.parametrize("names", [("left hand", "right hand"), ("turn-left", "straight on"), ("Right", "ahead")])
def test_classes_that_tell_left_from_right_are_not_flipped(names: tuple[str, ...]):
    """Flipping would move images to the other class; the rest of the policy stays."""
    found = resolve_policy(AugmentationRecipe(policy="auto"), dataset(names, things(3)))
    assert (found.policy, found.flip_horizontal, found.shift) == ("photos", False, POLICIES["photos"].shift)


def test_a_settled_recipe_says_everything_and_stays():
    """The policy and all its values are named, keys of one's own come first, and settling again changes nothing."""
    mine = dataset(("cup", "bowl"), things())
    found = resolve_policy(AugmentationRecipe(policy="auto", rotate=5, flip_horizontal=False), mine)
    assert (found.policy, found.rotate, found.flip_horizontal, found.zoom) == ("objects", 5, False, 0.1)
    assert None not in dict(found).values()
    assert resolve_policy(found, mine) == found
    assert changes_for(found).describe() == "shift up to 8%, rotate up to 5°, zoom up to 10%"


def test_off_stays_off():
    """Without a policy nothing is done but what is named, and no value is written for the rest."""
    mine = dataset(("cup", "bowl"), things())
    off = AugmentationRecipe()
    assert resolve_policy(off, mine) == off
    assert not changes_for(off).any
    assert off.model_dump() == {"policy": "none"}
    assert changes_for(AugmentationRecipe(rotate=3)).describe() == "rotate up to 3°"


def test_auto_needs_pictures():
    """An unsettled recipe is one sentence, not a guess."""
    with pytest.raises(RecipeError, match="settled by a dataset's images"):
        changes_for(AugmentationRecipe(policy="auto"))
