import pytest

from eyespot.errors import ModelError, RecipeError
from eyespot.models.architectures import build_recipe
from eyespot.recipe import Recipe
from eyespot.recipe_files import read_recipe

PARAMETERS = {
    "fashion-cnn": 356_234, "fashion-cnn-dropout": 356_234, "mnist-mlp": 669_706, "mnist-mlp-no-dropout": 669_706,
    "mnist-cnn-two-conv": 242_062, "mnist-cnn-two-conv-as-printed": 57_742,
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_recipe_builds_the_tutorials_network(name: str):
    """The list of layers gives as many parameters as the tutorial prints."""
    assert build_recipe(read_recipe(name), (28, 28, 1), 10).count_params() == PARAMETERS[name]


def test_pixels_are_rescaled_unless_the_recipe_says_no():
    """The first layer is the rescaling, except where the experiment is to leave it out."""
    first = [
        type(build_recipe(read_recipe(name), (28, 28, 1), 10).layers[0]).__name__
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
