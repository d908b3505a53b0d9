from pathlib import Path

import pytest

from eyespot.errors import RecipeError
from eyespot.recipe import Recipe


def test_a_recipe_survives_writing_and_reading(tmp_path: Path):
    """What is written is what is read."""
    recipe = Recipe.parse({"dataset": "mnist", "model": {"from": "runs/a", "freeze": True}, "training": {"epochs": 2}})
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.read(path) == recipe


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"datset": "mnist"}, "'dataset'"),
        ({"training": {"epoch": 3}}, "'training.epochs'"),
        ({"training": {"optimizer": "adamm"}}, "'adam'"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate"),
        ({"split": {"fraction": 0}}, "strictly between 0 and 1; received 0"),
        ({"split": {"fraction": 1}}, "strictly between 0 and 1; received 1"),
        ({"split": {"method": "half"}}, "'fraction', 'last', 'given' or 'none'"),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(values: dict, told: str):
    """An unknown key or a value out of range is one sentence that names where it is and what would fit."""
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(values, where="my.yaml")
    assert told in str(caught.value)
    assert "my.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["a: [1", "- just\n- a list\n", "!!python/object/apply:os.system ['true']", "\xff\xfe"]
)
def test_a_file_that_is_no_recipe_is_told(tmp_path: Path, content: str):
    """Broken YAML, a list, and tags that would build objects are refused with the file's name."""
    path = tmp_path / "odd.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"odd\.yaml"):
        Recipe.read(path)


def test_a_missing_file_is_told(tmp_path: Path):
    """A path that is not there is named."""
    with pytest.raises(RecipeError, match="no recipe at"):
        Recipe.read(tmp_path / "none.yaml")


def test_the_default_batch_fits_the_data():
    """A batch is never larger than the data unless its size is stated."""
    training = Recipe().training
    assert [training.batch_size_for(pictures) for pictures in (20, 48000)] == [20, 32]
    assert Recipe.parse({"training": {"batch_size": 300}}).training.batch_size_for(1000) == 300
