"""A network made wider or narrower, or given another dropout, as a change of its list of layers."""

import inspect
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError, RecipeError
from eyespot.models.layers import CLASSES, KNOWN

Layers = list[dict[str, Any]]
SIZES = ("units", "filters")
DROPOUTS = {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "AlphaDropout"}
HIGHEST_RATE = 0.9


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


def with_width(layers: Layers, factor: float | None) -> Layers:
    """Every layer that has a size so many times as wide, at least 1; the last of them, which is the classes', as it is.

    Raises:
        RecipeError: there is none besides the last.
    """
    if factor is None:
        return layers
    sized = [place for place, layer in enumerate(layers) if any(name in layer for name in SIZES)]
    if not sized[:-1]:
        raise RecipeError("model.width: the model has no hidden layer with units or filters.")
    changed = [dict(layer) for layer in layers]
    for place in sized[:-1]:
        for name in SIZES:
            if isinstance(size := changed[place].get(name), int):
                changed[place][name] = max(1, round(size * factor))
            elif size == CLASSES:
                raise RecipeError(
                    f"model.width: model.layers.{place}.{name} is the number of classes, in a hidden layer."
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
    """Of the first dropout layer; None where there is none."""
    return next((float(layer["rate"]) for layer in layers if layer["layer"] in DROPOUTS), None)


def _kind(layer: keras.Layer) -> str:
    return type(layer).__name__


def _said(layer: keras.Layer) -> dict[str, Any]:
    """Its arguments that are not what they are by default; its name is Keras's to give."""
    plain, parameters = layer.get_config(), inspect.signature(type(layer)).parameters
    usual = {name: one.default for name, one in parameters.items() if one.default is not inspect.Parameter.empty}
    taken = {name: value for name, value in plain.items() if name in parameters and name != "name"}
    defaults = type(layer)(**{name: value for name, value in taken.items() if name not in usual}).get_config()
    return {name: value for name, value in taken.items() if name not in usual or value != defaults.get(name)}
