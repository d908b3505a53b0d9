"""Models from a recipe's list of layers, and changes of that list: width and dropout.

Every model begins with raw pixels and rescales them inside, so that serving cannot differ from training.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError, unknown

Shape = tuple[int, ...]
CLASSES = "classes"  # as a value: the number of classes
OF_EVERY_LAYER = ("name", "trainable")
# What executes code or other libraries, or is no layer of its own.
LEFT_OUT = {"Layer", "Wrapper", "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "InputLayer"}
KNOWN = {
    name: kind
    for name, kind in vars(keras.layers).items()
    if isinstance(kind, type) and issubclass(kind, keras.Layer) and name not in LEFT_OUT
}
Layers = list[dict[str, Any]]
SIZES = ("units", "filters")
DROPOUTS = {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "AlphaDropout"}
HIGHEST_RATE = 0.9


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
    first_entries = pixel_input(input_shape, dtype)
    if not rescale:
        first_entries = first_entries[:1]
    try:
        return keras.Sequential([*first_entries, *(_layer(*named, classes) for named in _numbered(layers))], name=name)
    except (ValueError, TypeError, ZeroDivisionError):
        _raise_where_it_fails(layers, keras.Sequential(first_entries), classes)
        raise


def _numbered(layers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each layer's settings, and where in the recipe they are."""
    return ((settings, f"model.layers.{index}") for index, settings in enumerate(layers))


def _raise_where_it_fails(layers: Sequence[Mapping[str, Any]], model: keras.Sequential, classes: int) -> None:
    """Add one layer after the other, each of which builds the whole model again, and name the one that does not fit."""
    shape = model.output_shape[1:]
    for settings, where in _numbered(layers):
        try:
            model.add(_layer(settings, where, classes))
        except (ValueError, TypeError, ZeroDivisionError) as error:
            preceding = "x".join(map(str, shape))
            raise RecipeError(f"{where}: {settings['layer']} behind {preceding}: {reason_in(error)}") from None
        shape = model.output_shape[1:]


def pixel_input(input_shape: Shape, dtype: str = "uint8") -> list[keras.KerasTensor | keras.Layer]:
    """The first entries of a Sequential: `uint8` pixels 0-255 of (height, width, channels), brought to 0-1."""
    return [keras.Input(input_shape, dtype=dtype, name="pixels"), keras.layers.Rescaling(1 / 255)]


def _layer(settings: Mapping[str, Any], where: str, classes: int) -> keras.Layer:
    if "layer" not in settings:
        raise RecipeError(f"{where}: expected layer: and the name of a Keras layer, such as Dense.")
    kind = KNOWN.get(settings["layer"])
    if kind is None:
        raise RecipeError(f"{where}: " + unknown("layer", str(settings["layer"]), KNOWN))
    arguments = {key: classes if value == CLASSES else value for key, value in settings.items() if key != "layer"}
    accepted = [*inspect.signature(kind).parameters, *OF_EVERY_LAYER]
    for key in arguments:
        if key not in accepted or key == "kwargs":
            keys = [f"{where}.{argument}" for argument in accepted if argument not in {"args", "kwargs"}]
            raise RecipeError(unknown("key", f"{where}.{key}", keys))
    return kind(**arguments)


def reason_in(error: Exception) -> str:
    """The line of one of Keras's messages that says what is wrong, without colours."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).strip().split("\n")
    return next((line for line in lines if line and not line.startswith("Exception encountered")), lines[0])


def layers_of(model: keras.Model) -> tuple[Layers, bool]:
    """A model as a recipe describes one: what differs from each layer's defaults; and whether it rescales pixels first.

    Raises:
        ModelError: it is not one known layer after the other.
    """
    if not isinstance(model, keras.Sequential) or any(
        type(layer) is not KNOWN.get(_kind(layer)) for layer in model.layers
    ):
        raise ModelError(
            f"model.width and model.dropout change a Sequential of Keras's own layers, which {model.name} is not: "
            "change its code instead."
        )
    described = [{"layer": _kind(layer), **_said(layer)} for layer in model.layers]
    rescales = bool(described) and described[0] == {"layer": "Rescaling", "scale": 1 / 255}
    return described[1:] if rescales else described, rescales


def _kind(layer: keras.Layer) -> str:
    return type(layer).__name__


def _said(layer: keras.Layer) -> dict[str, Any]:
    """Return the arguments of a layer that differ from their defaults, without its name."""
    config, parameters = layer.get_config(), inspect.signature(type(layer)).parameters
    default_values = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    arguments = {name: value for name, value in config.items() if name in parameters and name != "name"}
    defaults = type(layer)(
        **{name: value for name, value in arguments.items() if name not in default_values}
    ).get_config()
    return {
        name: value for name, value in arguments.items() if name not in default_values or value != defaults.get(name)
    }


def with_width(layers: Layers, factor: float | None) -> Layers:
    """Multiply the size of every hidden layer by a factor, to at least 1; the last layer with a size stays as it is.

    Raises:
        RecipeError: there is none besides the last.
    """
    if factor is None:
        return layers
    sized = [index for index, layer in enumerate(layers) if any(name in layer for name in SIZES)]
    if not sized[:-1]:
        raise RecipeError("model.width: the model has no hidden layer with units or filters.")
    changed = [dict(layer) for layer in layers]
    for index in sized[:-1]:
        for name in SIZES:
            if isinstance(size := changed[index].get(name), int):
                changed[index][name] = max(1, round(size * factor))
            elif size == CLASSES:
                raise RecipeError(
                    f"model.width: model.layers.{index}.{name} is the number of classes, in a hidden layer."
                )
    return changed


def with_dropout(layers: Layers, rate: float | None) -> Layers:
    """The first dropout layer with this rate, the others in proportion to it, at most 0.9; with 0 they are left out.

    Raises:
        RecipeError: there is none.
    """
    if rate is None:
        return layers
    rates = [float(layer["rate"]) for layer in layers if layer["layer"] in DROPOUTS]
    if not rates or not rates[0]:
        raise RecipeError("model.dropout: the model has no dropout layer; put one in by model.layers.")
    if rate == 0:
        return [layer for layer in layers if layer["layer"] not in DROPOUTS]
    scale = rate / rates[0]
    return [
        {**layer, "rate": min(HIGHEST_RATE, round(layer["rate"] * scale, 6))} if layer["layer"] in DROPOUTS else layer
        for layer in layers
    ]


def dropout_rate(layers: Layers) -> float | None:
    """Return the rate of the first dropout layer; None where there is none."""
    return next((float(layer["rate"]) for layer in layers if layer["layer"] in DROPOUTS), None)
