"""Architectures by name."""

from collections.abc import Callable

from eyespot.backend import keras
from eyespot.errors import ModelError, unknown
from eyespot.models import tutorials
from eyespot.models.cnn import cnn
from eyespot.models.mlp import mlp
from eyespot.models.own import is_own, own_model
from eyespot.models.pixels import Shape
from eyespot.seeds import seed_for

ARCHITECTURES: dict[str, Callable[[Shape, int], keras.Model]] = {
    "mlp": mlp,
    "cnn": cnn,
    "fashion-cnn": tutorials.fashion_cnn,
    "fashion-cnn-dropout": tutorials.fashion_cnn_dropout,
    "mnist-mlp": tutorials.mnist_mlp,
    "mnist-mlp-one-hidden": tutorials.mnist_mlp_one_hidden,
    "mnist-cnn-small": tutorials.mnist_cnn_small,
    "mnist-cnn-two-conv": tutorials.mnist_cnn_two_conv,
    "mnist-cnn-two-conv-as-printed": tutorials.mnist_cnn_two_conv_as_printed,
}


def build(name: str, input_shape: Shape, classes: int, seed: int = 0) -> keras.Model:
    """Builds an architecture with fresh weights.

    Args:
        name: one of ARCHITECTURES, `path.py:function`, or a `.keras` file (its weights are drawn anew).
        input_shape: (height, width, channels) of the pictures.
        seed: of the initial weights and of dropout; Keras draws both from its global generators, which are set here.

    Returns:
        A built model that takes `uint8` pixels [n, height, width, channels] and gives probabilities [n, classes].

    Raises:
        ModelError: there is no such architecture, or it cannot take this input or give this output.
    """
    keras.utils.set_random_seed(seed_for(seed, "weights"))
    if is_own(name):
        return own_model(name, input_shape, classes)
    if name not in ARCHITECTURES:
        known = unknown("model", name, ARCHITECTURES)
        raise ModelError(f"{known} For your own: path.py:function or a .keras file.")
    try:
        return ARCHITECTURES[name](input_shape, classes)
    except ValueError as error:
        size = "x".join(str(side) for side in input_shape)
        raise ModelError(f"{name} cannot take pictures of {size}: {_first_sentence(error)}") from None


def _first_sentence(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
