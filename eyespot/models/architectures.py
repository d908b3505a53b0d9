"""Architectures by name: the multilayer perceptron, the default CNN, and the tutorials' networks."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError, unknown
from eyespot.models.backbones.pretrained import BACKBONES, build_on_backbone
from eyespot.models.layers import Shape, from_layers, layers_of, pixel_input, reason_in, with_dropout, with_width
from eyespot.models.loading import check_fits, is_own_model, load_own_model, with_fresh_weights
from eyespot.random import seed_for
from eyespot.recipe.schema import DEFAULT_MODEL, Recipe

layers = keras.layers
WIDTHS = (32, 64, 128, 256, 256, 256)
TUTORIALS = (
    "fashion-cnn", "fashion-cnn-dropout", "mnist-mlp", "mnist-mlp-one-hidden", "mnist-cnn-small", "mnist-cnn-two-conv",
    "mnist-cnn-two-conv-as-printed",
)  # fmt: skip


def build_recipe(recipe: Recipe, input_shape: Shape, classes: int, *, trust: bool = False) -> keras.Model:
    """Build the model a recipe describes, with fresh weights; arguments and result as of `build`.

    Raises:
        ModelError: as of `build`, or it does not end in probabilities for the classes.
        RecipeError: a layer, or an argument of one, is unknown or does not fit.
    """
    model_recipe, seed, name, dtype = recipe.model, recipe.training.seed, recipe.name, "uint8"
    if model_recipe.layers is not None:
        layers, rescale = model_recipe.layers, model_recipe.rescale
    else:
        base_name = model_recipe.name or DEFAULT_MODEL
        if model_recipe.is_backbone and not (model_recipe.width is None and model_recipe.dropout is None):
            raise ModelError(
                f"{base_name} comes with weights that fit its layers: leave out `model.width` and `model.dropout`."
            )
        if model_recipe.width is None and model_recipe.dropout is None:
            return build(base_name, input_shape, classes, seed, trust=trust)
        base = _architecture(base_name, input_shape, classes, seed, trust=trust)
        (layers, rescale), name = layers_of(base), base.name
        dtype = "uint8" if rescale else base.inputs[0].dtype
    try:
        changed = with_dropout(with_width(layers, model_recipe.width), model_recipe.dropout)
        model = from_layers(changed, input_shape, classes, rescale=rescale, name=name, dtype=dtype)
    except RecipeError as error:
        raise RecipeError(f"In {recipe.where}: {error}") from None
    check_fits(model, f"the model of {recipe.where}", input_shape, classes)
    return with_fresh_weights(model, seed)


def build(name: str, input_shape: Shape, classes: int, seed: int = 0, *, trust: bool = False) -> keras.Model:
    """Build an architecture with fresh weights, or a backbone with its own and a fresh head.

    Args:
        name: one of ARCHITECTURES, of BACKBONES, `path.py:function`, or a `.keras` file (its weights are drawn anew).
        input_shape: (height, width, channels) of the images.
        seed: of the initial weights. What a function of the user's own draws comes from Python's, NumPy's and
            PyTorch's global generators, which are set here.
        trust: of a `.keras` file, as of `load_model`.

    Returns:
        A built model that takes `uint8` pixels [n, height, width, channels] and gives probabilities [n, classes].

    Raises:
        ModelError: there is no such architecture, or it cannot take this input or give this output; or the weights of a
            backbone are missing or not the published ones.
        MissingExtra: a backbone's weights come with an extra.
    """
    if name in BACKBONES:
        return build_on_backbone(name, input_shape, classes, seed)
    model = _architecture(name, input_shape, classes, seed, trust=trust)
    return model if is_own_model(name) else with_fresh_weights(model, seed)


def _architecture(name: str, input_shape: Shape, classes: int, seed: int, *, trust: bool) -> keras.Model:
    """As `build`; but an architecture of eyespot's own may have any weights."""
    keras.utils.set_random_seed(seed_for(seed, "weights"))
    if is_own_model(name):
        return load_own_model(name, input_shape, classes, seed, trust=trust)
    if name not in ARCHITECTURES:
        message = unknown("model", name, [*ARCHITECTURES, *BACKBONES])
        raise ModelError(f"{message} For your own: path.py:function or a .keras file.")
    try:
        return ARCHITECTURES[name](input_shape, classes)
    except (ValueError, RecipeError) as error:
        size = "x".join(str(side) for side in input_shape)
        raise ModelError(f"{name} cannot take images of {size}: {reason_in(error)}") from None


def mlp(input_shape: Shape, classes: int, *, hidden: Sequence[int] = (512, 512), dropout: float = 0.2) -> keras.Model:
    """Dense ReLU layers of `hidden` units, each followed by dropout where `dropout` is above 0."""
    stack = [*pixel_input(input_shape), layers.Flatten()]
    for units in hidden:
        stack.append(layers.Dense(units, activation="relu"))
        if dropout:
            stack.append(layers.Dropout(dropout))
    return keras.Sequential([*stack, layers.Dense(classes, activation="softmax")], name="mlp")


def cnn(input_shape: Shape, classes: int, *, dropout: float = 0.25) -> keras.Model:
    """Blocks of a 3x3 convolution, batch normalisation, ReLU and a pool that halves the image; then a dense head.

    The first block has two convolutions: strokes are found at full resolution, before any pixel is dropped.
    As many blocks as leave at least 2 pixels a side: two for 8x8, three for 28x28, four for 32x32. Batch
    normalisation: Ioffe and Szegedy 2015 (arXiv:1502.03167).
    """
    blocks = max(1, min(len(WIDTHS), int(math.log2(max(2, min(input_shape[:2]) / 2)))))
    stack = pixel_input(input_shape)
    for block, width in enumerate(WIDTHS[:blocks]):
        for _ in range(1 if block else 2):
            stack += [
                layers.Conv2D(width, 3, padding="same", use_bias=False),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
            ]
        stack += [layers.MaxPooling2D(2, padding="same"), layers.Dropout(dropout)]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(2 * dropout)]
    return keras.Sequential([*stack, *head, layers.Dense(classes, activation="softmax")], name="cnn")


def _tutorial(name: str, input_shape: Shape, classes: int) -> keras.Model:
    """The network of the recipe of that name."""
    model_recipe = Recipe.read(name).model
    return from_layers(model_recipe.layers or [], input_shape, classes, rescale=model_recipe.rescale, name=name)


ARCHITECTURES: dict[str, Callable[[Shape, int], keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    **{name: partial(_tutorial, name) for name in TUTORIALS},
}
