import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError
from eyespot.models.architectures import ARCHITECTURES, build_recipe
from eyespot.models.variants import dropout_rate, layers_of, with_dropout
from eyespot.recipe import Recipe

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
