from dataclasses import fields

from eyespot.data.augment.changes import WORDS, Changes
from eyespot.recipe_parts import AugmentationRecipe


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
        alone = Changes(**{name: True if name.startswith("flip") else 1.0})
        assert alone.any
        assert alone.describe() != "nothing is changed"
        assert [alone.moves, alone.shades, alone.mixes, bool(alone.erase)].count(True) == 1
