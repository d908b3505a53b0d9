"""A model from a recipe's list of layers, one after the other."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from eyespot.backend import keras
from eyespot.errors import RecipeError, unknown
from eyespot.models.pixels import Shape, pixel_input

CLASSES = "classes"  # as a value: the number of classes
OF_EVERY_LAYER = ("name", "trainable")
# What executes code or other libraries, or is no layer of its own.
LEFT_OUT = {"Layer", "Wrapper", "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "InputLayer"}
KNOWN = {
    name: kind
    for name, kind in vars(keras.layers).items()
    if isinstance(kind, type) and issubclass(kind, keras.Layer) and name not in LEFT_OUT
}


def from_layers(  # noqa: PLR0913 - all that is known of a model beside its layers
    layers: Sequence[Mapping[str, Any]],
    input_shape: Shape,
    classes: int,
    *,
    rescale: bool,
    name: str | None,
    dtype: str = "uint8",
) -> keras.Model:
    """A Sequential of raw pixels, rescaled to 0-1 where asked for, and the layers.

    Args:
        layers: `layer`, the name of a Keras layer, and its arguments; the value `classes` is the number of classes.
        dtype: of the input; a model of a user's own may take other values than pixels.

    Raises:
        RecipeError: a layer or an argument is unknown, or a layer cannot take what the one before gives.
    """
    begins = pixel_input(input_shape, dtype)
    model = keras.Sequential(begins if rescale else begins[:1], name=name)
    shape = input_shape
    for place, settings in enumerate(layers):
        where = f"model.layers.{place}"
        try:
            model.add(_layer(settings, where, classes))
        except (ValueError, TypeError, ZeroDivisionError) as error:
            behind = "x".join(map(str, shape))
            raise RecipeError(f"{where}: {settings['layer']} behind {behind}: {reason_in(error)}") from None
        shape = model.output_shape[1:]
    return model


def reason_in(error: Exception) -> str:
    """The line of one of Keras's messages that says what is wrong, without colours."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().split("\n")
    return next((line for line in lines if line and not line.startswith("Exception encountered")), lines[0])


def _layer(settings: Mapping[str, Any], where: str, classes: int) -> keras.Layer:
    if "layer" not in settings:
        raise RecipeError(f"{where}: expected layer: and the name of a Keras layer, such as Dense.")
    kind = KNOWN.get(settings["layer"])
    if kind is None:
        raise RecipeError(f"{where}: " + unknown("layer", str(settings["layer"]), KNOWN))
    arguments = {key: classes if value == CLASSES else value for key, value in settings.items() if key != "layer"}
    taken = [*inspect.signature(kind).parameters, *OF_EVERY_LAYER]
    for key in arguments:
        if key not in taken or key == "kwargs":
            named = [f"{where}.{one}" for one in taken if one not in {"args", "kwargs"}]
            raise RecipeError(unknown("key", f"{where}.{key}", named))
    return kind(**arguments)
