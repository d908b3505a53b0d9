"""Architectures by name."""

from collections.abc import Callable
from functools import partial

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError, unknown
from eyespot.models.cnn import cnn
from eyespot.models.fresh import with_fresh_weights
from eyespot.models.layers import from_layers, reason_in
from eyespot.models.mlp import mlp
from eyespot.models.own import check_fits, is_own, own_model
from eyespot.models.pixels import Shape
from eyespot.models.variants import layers_of, with_dropout, with_width
from eyespot.recipe import Recipe
from eyespot.recipe_files import read_recipe
from eyespot.recipe_parts import DEFAULT_MODEL
from eyespot.seeds import seed_for

TUTORIALS = (
    "fashion-cnn", "fashion-cnn-dropout", "mnist-mlp", "mnist-mlp-one-hidden", "mnist-cnn-small", "mnist-cnn-two-conv",
    "mnist-cnn-two-conv-as-printed",
)  # fmt: skip


def _tutorial(name: str, input_shape: Shape, classes: int) -> keras.Model:
    """The network of the recipe of that name."""
    wanted = read_recipe(name).model
    return from_layers(wanted.layers or [], input_shape, classes, rescale=wanted.rescale, name=name)


ARCHITECTURES: dict[str, Callable[[Shape, int], keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    **{name: partial(_tutorial, name) for name in TUTORIALS},
}


def build(name: str, input_shape: Shape, classes: int, seed: int = 0, *, trust: bool = False) -> keras.Model:
    """Builds an architecture with fresh weights.

    Args:
        name: one of ARCHITECTURES, `path.py:function`, or a `.keras` file (its weights are drawn anew).
        input_shape: (height, width, channels) of the pictures.
        seed: of the initial weights. What a function of the user's own draws comes from Python's, NumPy's and
            PyTorch's global generators, which are set here.
        trust: of a `.keras` file, as of `load_model`.

    Returns:
        A built model that takes `uint8` pixels [n, height, width, channels] and gives probabilities [n, classes].

    Raises:
        ModelError: there is no such architecture, or it cannot take this input or give this output.
    """
    keras.utils.set_random_seed(seed_for(seed, "weights"))
    if is_own(name):
        return own_model(name, input_shape, classes, seed, trust=trust)
    if name not in ARCHITECTURES:
        known = unknown("model", name, ARCHITECTURES)
        raise ModelError(f"{known} For your own: path.py:function or a .keras file.")
    try:
        model = ARCHITECTURES[name](input_shape, classes)
    except (ValueError, RecipeError) as error:
        size = "x".join(str(side) for side in input_shape)
        raise ModelError(f"{name} cannot take pictures of {size}: {reason_in(error)}") from None
    return with_fresh_weights(model, seed)


def build_recipe(recipe: Recipe, input_shape: Shape, classes: int, *, trust: bool = False) -> keras.Model:
    """Builds the model a recipe describes, with fresh weights; arguments and result as of `build`.

    Raises:
        ModelError: as of `build`, or it does not end in probabilities for the classes.
        RecipeError: a layer, or an argument of one, is unknown or does not fit.
    """
    wanted, seed, name, dtype = recipe.model, recipe.training.seed, recipe.name, "uint8"
    if wanted.layers is not None:
        layers, rescale = wanted.layers, wanted.rescale
    else:
        named = build(wanted.name or DEFAULT_MODEL, input_shape, classes, seed, trust=trust)
        if wanted.width is None and wanted.dropout is None:
            return named
        (layers, rescale), name = layers_of(named), named.name
        dtype = "uint8" if rescale else named.inputs[0].dtype
    try:
        changed = with_dropout(with_width(layers, wanted.width), wanted.dropout)
        model = from_layers(changed, input_shape, classes, rescale=rescale, name=name, dtype=dtype)
    except RecipeError as error:
        raise RecipeError(f"In {recipe.where}: {error}") from None
    check_fits(model, f"the model of {recipe.where}", input_shape, classes)
    return with_fresh_weights(model, seed)
