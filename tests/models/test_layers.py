import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError
from eyespot.models.architectures import ARCHITECTURES, build_recipe
from eyespot.models.layers import dropout_rate, layers_of, with_dropout
from eyespot.recipe.schema import Recipe

PARAMETERS = {
    "fashion-cnn": 356_234, "fashion-cnn-dropout": 356_234, "mnist-mlp": 669_706, "mnist-mlp-no-dropout": 669_706,
    "mnist-cnn-two-conv": 242_062, "mnist-cnn-two-conv-as-printed": 57_742,
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_builds_the_tutorials_network(name: str):
    """The list of layers gives as many parameters as the tutorial prints."""
    assert build_recipe(Recipe.read(name), (28, 28, 1), 10).count_params() == PARAMETERS[name]


def test_pixels_are_rescaled_unless_the_recipe_says_no():
    """The first layer is the rescaling, except where the experiment is to leave it out."""
    first = [
        type(build_recipe(Recipe.read(name), (28, 28, 1), 10).layers[0]).__name__
        for name in ("mnist-mlp", "mnist-mlp-no-rescaling")
    ]
    assert first == ["Rescaling", "Flatten"]


END = {"layer": "Dense", "units": "classes", "activation": "softmax"}
WRONG = [
    ([{"layer": "Conv2d", "filters": 3}], "model.layers.0: There is no layer named 'Conv2d'. Did you mean 'Conv2D'?"),
    ([{"layer": "Flatten"}, {"layer": "Dense", "unit": 3}], "Did you mean 'model.layers.1.units'?"),
    ([{"layer": "Lambda", "function": "print"}], "There is no layer named 'Lambda'"),
    ([{"units": 3}], "model.layers.0: expected layer:"),
    ([{"layer": "Dense", "units": -1}], "model.layers.0: Dense behind 8x8x1:"),
    ([{"layer": "Conv2D", "filters": 3, "kernel_size": 9}, END], "model.layers.0: Conv2D behind 8x8x1:"),
    ([{"layer": "Dense"}], "model.layers.0: Dense behind 8x8x1:"),
    ([{"layer": "Add"}], "model.layers.0: Add behind 8x8x1:"),
]


@pytest.mark.parametrize(("layers", "told"), WRONG)
def test_a_layer_that_does_not_fit_is_told(layers: list[dict], told: str):
    """One sentence names the recipe, the place of the layer and, of a misspelt name, the nearest."""
    recipe = Recipe.parse({"model": {"layers": layers}}, where="my.yaml")
    with pytest.raises(RecipeError) as caught:
        build_recipe(recipe, (8, 8, 1), 3)
    assert str(caught.value).startswith("In my.yaml: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_layers_that_do_not_end_in_probabilities_are_told():
    """The last layer must give one probability a class."""
    recipe = Recipe.parse({"model": {"layers": [{"layer": "Flatten"}, END | {"units": 7}]}})
    with pytest.raises(ModelError, match="one probability a class"):
        build_recipe(recipe, (8, 8, 1), 3)


SHAPE = (28, 28, 1)


def built(**model: object) -> keras.Model:
    return build_recipe(Recipe.parse({"model": model}), SHAPE, 10)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_described_is_the_network(name: str):
    """As wide as it is, a network built from its own description has the same layers and the same initial weights."""
    plain, again = built(name=name), built(name=name, width=1)
    assert [type(layer) for layer in plain.layers] == [type(layer) for layer in again.layers]
    assert all(map(np.array_equal, plain.get_weights(), again.get_weights()))


def test_width_is_of_every_hidden_layer():
    """Twice as wide: filters and units double, the classes stay."""
    sizes = [layer.get("filters") or layer["units"] for layer in sized(built(name="cnn", width=2))]
    assert sizes == [64, 64, 128, 256, 256, 10]
    assert [layer["units"] for layer in sized(built(name="mlp", width=0.001))] == [1, 1, 10]


def test_dropout_keeps_its_proportions():
    """The first rate is what is asked for, the others follow, 0 takes the layers out, and none is above 0.9."""
    rates = [layer.rate for layer in built(name="cnn", dropout=0.1).layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.1, 0.1, 0.1, 0.2]
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in built(name="cnn", dropout=0).layers)
    high, _ = layers_of(built(name="cnn", dropout=0.8))
    assert with_dropout(high, 0.8)[-2]["rate"] == 0.9
    assert dropout_rate(high) == 0.8
    assert dropout_rate(layers_of(built(name="mnist-cnn-small"))[0]) is None


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ({"name": "mnist-cnn-small", "dropout": 0.2}, "no dropout layer"),
        ({"layers": [{"layer": "Flatten"}, {"layer": "Dense", "units": "classes"}], "width": 2},
         "no hidden layer"),
        ({"name": "cnn", "width": 0}, "model.width"),
        ({"name": "cnn", "dropout": 1}, "model.dropout"),
        ({"from": "runs/a", "width": 2}, "keeps its architecture"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_told(model: dict, told: str):
    """A network without such layers, an impossible value, trained weights: one sentence."""
    with pytest.raises(RecipeError, match=told):
        built(**model)


def test_a_model_with_branches_is_not_changed():
    """Only a plain sequence can be described."""
    inputs = keras.Input(SHAPE)
    both = keras.layers.Add()([inputs, inputs])
    with pytest.raises(ModelError, match="change its code instead"):
        layers_of(keras.Model(inputs, both))


def sized(model: keras.Model) -> list[dict]:
    return [layer for layer in layers_of(model)[0] if "filters" in layer or "units" in layer]
