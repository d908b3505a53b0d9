from pathlib import Path

import pytest

from eyespot.errors import RecipeError
from eyespot.recipe.recipe_files import recipe_names
from eyespot.recipe.schema import Recipe


def test_a_recipe_survives_writing_and_reading(tmp_path: Path):
    """What is written is what is read."""
    recipe = Recipe.parse({"dataset": "mnist", "model": {"from": "runs/a", "freeze": True}, "training": {"epochs": 2}})
    path = tmp_path / "recipe.yaml"
    recipe.write(path)
    assert path.read_text(encoding="utf-8") == recipe.dump()
    read = Recipe.read(path)
    assert (read.dump(), read, hash(read)) == (recipe.dump(), recipe, hash(recipe))
    assert read != recipe.with_settings({"training.epochs": 3})


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"datset": "mnist"}, "'dataset'"),
        ({"training": {"epoch": 3}}, "'training.epochs'"),
        ({"training": {"optimizer": "adamm"}}, "'adam'"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate"),
        ({"augmentation": {"rotat": 3}}, "'augmentation.rotate'"),
        ({"augmentation": {"shift": 0.6}}, "augmentation.shift"),
        ({"augmentation": {"erase": -0.1}}, "augmentation.erase"),
        ({"augmentation": {"policy": "letters"}}, "'photos'"),
        ({"training": {"class_weights": "even"}}, "'balanced'"),
        ({"training": {"class_weights": "balanced", "resample": "balanced"}}, "leave one of them out"),
        ({"split": {"fraction": 0}}, "strictly between 0 and 1; received 0"),
        ({"split": {"fraction": 1}}, "strictly between 0 and 1; received 1"),
        ({"split": {"method": "half"}}, "'fraction', 'last', 'given', 'none' or 'test'"),
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


def test_a_variation_is_its_base_with_one_change(tmp_path: Path):
    """Places are those of the base, whatever is put in and taken out; published figures are not inherited."""
    (tmp_path / "base.yaml").write_text(
        "model: {layers: [{layer: Flatten}, {layer: Dense, units: 9}, {layer: Dropout, rate: 0.5}, "
        "{layer: Dense, units: 3}]}\n"
        "published: {source: a book}\n"
    )
    (tmp_path / "other.yaml").write_text(
        "base: base\nchange: wider\nset: {model.layers.1.units: 12, model.layers.2: null, training.epochs: 2}\n"
        "insert: [{after: 2, layer: ReLU}, {after: 0, layer: Dropout, rate: 0.1}]\n"
    )
    recipe = Recipe.read(tmp_path / "other.yaml", {"model.layers.4.units": 5})
    layers = [layer.pop("layer") for layer in recipe.model.layers or []]
    assert layers == ["Flatten", "Dropout", "Dense", "ReLU", "Dense"]
    assert recipe.model.layers == [{}, {"rate": 0.1}, {"units": 12}, {}, {"units": 5}]
    told = (recipe.name, recipe.variation_of, recipe.change, recipe.published, recipe.training.epochs)
    assert told == ("other", "base", "wider", None, 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("base: mnist-mpl\nset: {training.epochs: 1}", "'mnist-mlp'"),
        ("base: mnist-mlp\nset: {training.epoch: 1}", "'training.epochs'"),
        ("base: mnist-mlp\nset: {model.layers.9.units: 1}", "a place from 0 to 5; received '9'"),
        ("base: mnist-mlp\nset: {dataset.name: 1}", "dataset is a single value"),
        ("base: mnist-mlp\nset: [1]", "set takes keys and values"),
        ("base: mnist-mlp\ninsert: [{layer: ReLU}]", "after must be one of 0 to 5; received None"),
        ("base: mnist-mlp\ninsert: [ReLU]", "insert takes a list of layers"),
        ("base: odd", "base leads back to"),
        ("set: {training.epochs: 1}", "name it as base"),
        ("model: {layers: [{layer: Flatten}], name: cnn}", "model.layers is a model of its own"),
        ("model: {rescale: false}", "goes with model.layers"),
        ("model: {layers: []}", "model.layers"),
    ],
)
def test_a_variation_that_does_not_fit_is_told(tmp_path: Path, content: str, told: str):
    """One sentence names the file, the key and the nearest valid one."""
    path = tmp_path / "odd.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError) as caught:
        Recipe.read(path)
    assert told in str(caught.value)
    assert "odd.yaml" in str(caught.value)


def test_nothing_is_augmented_unless_asked_for():
    """No recipe that comes with eyespot changes its pictures or weighs its classes, and it does not say otherwise."""
    for name in (*recipe_names(), None):
        recipe = Recipe.read(name) if name else Recipe()
        assert recipe.model_dump()["augmentation"] == {"policy": "none"}
        assert (recipe.training.class_weights, recipe.training.resample) == (None, None)


def test_there_are_fifteen_recipes():
    """Every experiment of the tutorials has one, with its source."""
    recipes = [Recipe.read(name) for name in recipe_names()]
    assert len(recipes) == 15
    assert all(recipe.published and recipe.published.source and recipe.description for recipe in recipes)
