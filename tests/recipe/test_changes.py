import pytest

from eyespot.errors import RecipeError, UsageError
from eyespot.recipe.changes import describe_differences, describe_settings, parse_change, parse_setting, parse_values
from eyespot.recipe.schema import Recipe


def test_settings_change_any_key():
    """A key is set by its dotted name, its value read as YAML; an unknown one is an error that names the nearest."""
    settings = dict(map(parse_setting, ("training.epochs=5", "split.stratify=false", "model.name=mlp")))
    recipe = Recipe().with_settings(settings)
    assert (recipe.training.epochs, recipe.split.stratify, recipe.model.name) == (5, False, "mlp")
    with pytest.raises(RecipeError, match=r"'training\.optimizer'"):
        Recipe().with_settings({"training.optimiser": "adam"})
    for wrong in ("training.epochs", "=5", "a=[1"):
        with pytest.raises(UsageError, match="key=value"):
            parse_setting(wrong)


def test_options_are_short_names_of_settings():
    """An option changes the setting it stands for, None leaves it, and an unknown one is an error."""
    recipe = Recipe().with_options({"epochs": 5, "split": "last", "start": None})
    assert recipe.differences_to(Recipe().with_settings({"training.epochs": 5, "split.method": "last"})) == []
    with pytest.raises(RecipeError, match="'epochs'"):
        Recipe().with_options({"epoch": 5})
    with pytest.raises(RecipeError, match=r"`training\.epochs` must be at least 1; received 0\."):
        Recipe().with_options({"epochs": 0})


def test_another_model_takes_the_place_of_layers():
    """`--model` on a recipe with layers is the named model, with its own beginning."""
    recipe = Recipe.read("mnist-mlp-no-rescaling").with_options({"model": "cnn"})
    assert (recipe.model.name, recipe.model.layers, recipe.model.rescale) == ("cnn", None, True)


def test_another_policy_takes_the_others_values_away():
    """`--augment` on a run's recipe, which states all of a policy, is the other policy; keys of one's own stay."""
    run = Recipe.parse({"augmentation": {"policy": "digits", "rotate": 10.0, "flip_horizontal": False}})
    assert run.with_options({"augment": "photos"}).augmentation.model_dump() == {"policy": "photos"}
    assert run.with_options({"augment": "digits"}).augmentation == run.augmentation
    own = Recipe.parse({"augmentation": {"rotate": 10.0}})
    assert own.with_options({"augment": "auto"}).augmentation.model_dump() == {"policy": "auto", "rotate": 10.0}
    assert own.with_settings({"augmentation.zoom": 0.2}).augmentation.zoom == 0.2


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("no dropout: model.dropout=0", "no dropout", {"model.dropout": 0}),
        ("slow: training.learning_rate=0.0001; training.epochs=60", "slow",
         {"training.learning_rate": 0.0001, "training.epochs": 60}),
        ("training.optimizer=sgd", "training.optimizer=sgd", {"training.optimizer": "sgd"}),
        ("wide: model.layers.1={layer: Dense, units: 9}", "wide", {"model.layers.1": {"layer": "Dense", "units": 9}}),
        ("model.layers.1={layer: Dense}", "model.layers.1={layer: Dense}", {"model.layers.1": {"layer": "Dense"}}),
    ],
)  # fmt: skip
def test_a_change_is_a_name_and_what_it_sets(text: str, name: str, settings: dict):
    """`name: key=value; key=value`, the values read as YAML; without a name it is called by what it sets."""
    assert parse_change(text) == (name, settings)


@pytest.mark.parametrize("text", ["training.optimizer", "=3", "training.epochs=", "training.epochs=[1"])
def test_values_need_a_key_and_a_value(text: str):
    """What has no key or no values is refused in one sentence with an example."""
    with pytest.raises(UsageError, match="`grid` takes key=value,value"):
        parse_values(text)


def test_settings_are_described_in_a_line():
    """Keys with their values as a recipe has them; numbers of a search are shortened."""
    settings = {"training.learning_rate": 0.0031622776, "model.layers": None}
    assert describe_settings(settings) == "training.learning_rate: 0.003162, model.layers: null"


def test_differences_of_recipes_are_described():
    """Settings by their names; of layers, what was inserted, removed or replaced, as it is written in Python."""
    dense, dropout = {"layer": "Dense", "units": 10}, {"layer": "Dropout", "rate": 0.25}
    plain = Recipe.parse({"model": {"layers": [dense | {"units": 32}, dense]}})
    more = Recipe.parse({"model": {"layers": [dense | {"units": 32}, dropout, dense]}, "training": {"epochs": 7}})
    assert plain.differences_to(plain) == []
    assert plain.differences_to(more) == [
        "model.layers: with Dropout(rate=0.25) after Dense(units=32)",
        "training.epochs: 30 → 7",
    ]
    assert "model.layers: without Dropout(rate=0.25)" in more.differences_to(plain)
    wider = Recipe.parse({"model": {"layers": [dense | {"units": 64}, dense]}})
    assert plain.differences_to(wider) == ["model.layers: Dense(units=64) in the place of Dense(units=32)"]


def test_equal_texts_do_not_hide_a_difference():
    """Settings differ exactly where their values do, whatever the values look like in words."""
    assert describe_differences({"a": [{"layer": "X", "n": 1, "m": 2}]}, {"a": [{"m": 2, "n": 1, "layer": "X"}]}) == []
    assert len(describe_differences({"a": [1]}, {"a": ["1"]})) == 1
    assert describe_differences({"a": 1, "b": 1}, {"a": 2, "b": 2}, ["b"]) == ["b: 1 → 2"]
