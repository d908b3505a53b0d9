"""The range of pixels that a model from outside expects, and the layers that bring 0-255 to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from eyespot.backend import keras
from eyespot.data.dataset import RowView, chunks
from eyespot.keras_internals import call_layers
from eyespot.models.graph import Call, Graph, trace
from eyespot.models.layers import Shape
from eyespot.shapes import UInt8

layers = keras.layers
RAW, USUAL = "0-255", "0-1"  # as images have them; as tutorials give them to a model
SMALLEST = 1e-12  # variance
SLACK, SMALL = 0.1, 0.1  # shares of the largest pixel: what resizing may add, and what pooling leaves at least
Moments = tuple[Any, Any]  # mean and variance, of all values or of each channel


@dataclass(frozen=True)
class Scaling:
    """Pixels 0-255 times `scale` plus `offset`; a tuple has one number a channel."""

    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0

    def __call__(self, images: UInt8[np.ndarray, "n height width channels"]) -> np.ndarray:
        """The images in float32."""
        scaled: np.ndarray = images * np.asarray(self.scale, np.float32) + np.asarray(self.offset, np.float32)
        return scaled


def scalings(images: UInt8[np.ndarray, "n height width channels"] | RowView) -> dict[str, Scaling]:
    """Return the scaling to each range; `standardised` by each channel's mean and standard deviation in `images`."""
    sums = squares = np.zeros(images.shape[-1])
    for part in chunks(images):
        sums = sums + part.sum(axis=(0, 1, 2), dtype=np.float64)
        squares = squares + np.square(part, dtype=np.float32).sum(axis=(0, 1, 2), dtype=np.float64)
    mean = sums / (pixels := float(np.prod(images.shape[:-1])))
    deviation = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    deviation[deviation == 0] = 1
    scale, offset = (1 / deviation).tolist(), (-mean / deviation).tolist()
    per_channel = Scaling(tuple(scale), tuple(offset)) if len(scale) > 1 else Scaling(scale[0], offset[0])
    return {RAW: Scaling(), USUAL: Scaling(1 / 255), "-1-1": Scaling(1 / 127.5, -1.0), "standardised": per_channel}


def told_by_first_layers(
    model: keras.Model, images: UInt8[np.ndarray, "n height width channels"], known: Mapping[str, Scaling]
) -> str | None:
    """The range that the model's first layers are made for; None where they do not tell.

    A `Normalization`: the range whose mean and variance are nearest to its own. Other rescaling: the range that it
    brings nearest to 0-1, -1-1 or standardised. No rescaling, but a trained `BatchNormalization`: the range in which
    the channels that enter it have means and variances nearest to the moving ones. Nearness is the Kullback-Leibler
    divergence between normal distributions.

    Args:
        known: what `scalings` gives.
    """
    graph = trace(model)
    before, first = before_weights(graph)

    def values(tensor: keras.KerasTensor) -> dict[str, np.ndarray]:
        return {name: value_at(graph, tensor, as_input(model, scaling(images))) for name, scaling in known.items()}

    first_values = values(before[-1].output if before else graph.input)
    overall = {name: _moments(array) for name, array in first_values.items()}
    if first is not None and isinstance(first.layer, layers.Normalization):
        stored = _adapted(first.layer)
        return stored and min(overall, key=lambda name: _divergence(overall[name], stored))
    if _is_rescaled(first_values[RAW], images):
        targets = [_moments(scaling(images)) for name, scaling in known.items() if name != RAW]
        return min(overall, key=lambda name: min(_divergence(overall[name], target) for target in targets))
    normalizing = next((call for call in graph.calls if _normalizes_channels(call)), None)
    if normalizing is None or _is_fresh(normalizing.layer):
        return None
    channels = {name: _moments(array, each=True) for name, array in values(normalizing.inputs[0]).items()}
    return min(channels, key=lambda name: _from_moving(channels[name], normalizing.layer))


def before_weights(graph: Graph) -> tuple[list[Call], Call | None]:
    """The calls before the first layer that has weights or normalizes, and the call of that one."""
    known_ids, before = {id(graph.input)}, list[Call]()
    for call in graph.calls:
        normalizes = isinstance(call.layer, layers.Normalization)  # by numbers that need not be weights
        if (
            normalizes
            or getattr(call.layer, "weights", None)
            or not {id(tensor) for tensor in call.inputs} <= known_ids
        ):
            return before, call
        known_ids.add(id(call.output))
        before.append(call)
    return before, None


def value_at(graph: Graph, tensor: keras.KerasTensor, images: np.ndarray) -> np.ndarray:
    """Return the value of a symbolic tensor for these images, at inference."""
    by_tensor: dict[int, Any] = {id(graph.input): keras.ops.convert_to_tensor(images)}
    with torch.no_grad():
        for call in graph.calls:
            if id(tensor) in by_tensor:
                break
            by_tensor[id(call.output)] = call.run([by_tensor[id(source)] for source in call.inputs], training=False)
    array: np.ndarray = keras.ops.convert_to_numpy(by_tensor[id(tensor)])
    return array


def as_input(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The images in the shape that the model takes."""
    shape = model.inputs[0].shape[1:]
    return images if len(shape) == images.ndim - 1 else images.reshape(len(images), *shape)


def _moments(values: np.ndarray, *, each: bool = False) -> Moments:
    """Return the mean and the variance of all values, or of each channel."""
    axes = tuple(range(values.ndim - 1)) if each else None
    return values.mean(axis=axes, dtype=np.float64), values.var(axis=axes, dtype=np.float64)


def _adapted(layer: keras.layers.Normalization) -> Moments | None:
    """The mean and variance over all channels that it normalizes by; None where it has not adapted to any."""
    if layer.invert or layer.mean is None:
        return None
    means, variances = (
        keras.ops.convert_to_numpy(statistic).astype(np.float64) for statistic in (layer.mean, layer.variance)
    )
    return (means.mean(), variances.mean() + means.var()) if means.any() or (variances != 1).any() else None


def _divergence(moments: Moments, target: Moments) -> float:
    """Return the Kullback-Leibler divergence from `target` to `moments`, as of normal distributions, averaged."""
    (mean, variance), (aim, spread) = moments, target
    variance, spread = np.maximum(variance, SMALLEST), np.maximum(spread, SMALLEST)
    return float(np.mean(np.log(spread / variance) + (variance + (mean - aim) ** 2) / spread - 1)) / 2


def _is_rescaled(values: np.ndarray, images: UInt8[np.ndarray, "n height width channels"]) -> bool:
    """Whether the layers between have left the range of pixels; pooling and resizing stay within it."""
    low, high, top = float(values.min()), float(values.max()), float(images.max())
    return low < -SLACK * top or not top * SMALL <= high <= top * (1 + SLACK)


def _normalizes_channels(call: Call) -> bool:
    return type(call.layer) is layers.BatchNormalization and call.layer.axis in {-1, len(call.inputs[0].shape) - 1}


def _is_fresh(layer: keras.layers.BatchNormalization) -> bool:
    """Whether a layer's moving statistics are still the initial ones."""
    mean, variance = _moving(layer)
    return not mean.any() and bool((variance == 1).all())


def _moving(layer: keras.layers.BatchNormalization) -> Moments:
    mean, variance = (keras.ops.convert_to_numpy(statistic) for statistic in (layer.moving_mean, layer.moving_variance))
    return mean.astype(np.float64), variance.astype(np.float64)


def _from_moving(channels: Moments, layer: keras.layers.BatchNormalization) -> float:
    """How far the channels are from the moving statistics; these begin at 0 and 1, and may still be on their way."""
    mean, variance = channels
    return min(
        _divergence((share * mean, 1 - share + share * variance), _moving(layer)) for share in np.linspace(0.1, 1, 10)
    )


def with_scaling(model: keras.Model, scaling: Scaling, pictures: Shape) -> keras.Model:
    """The model with pixels 0-255 brought to its range inside; it shares layers and weights with `model`.

    Args:
        pictures: their (height, width, channels). A model that takes them flat, or grey ones without channels, gets a
            `Reshape` too.
    """
    input_shape, dtype = tuple(model.inputs[0].shape[1:]), model.inputs[0].dtype
    front: list[keras.Layer] = []
    if scaling != Scaling():
        front, dtype = [layers.Rescaling(scaling.scale, scaling.offset, name=_free_name(model, "pixel_range"))], "uint8"
    if fits_reshaped(input_shape, pictures):
        front.append(layers.Reshape(input_shape, name=_free_name(model, "pixel_shape")))
    if not front:
        return model
    pixels = value = keras.Input(pictures, dtype=dtype, name="pixels")
    for layer in front:
        value = layer(value)
    return keras.Model(pixels, _layer_by_layer(model, value), name=model.name)


def _free_name(model: keras.Model, name: str) -> str:
    names, number = {layer.name for layer in model.layers}, 1
    while name in names:
        number += 1
        name = f"{name.rstrip('_0123456789')}_{number}"
    return name


def fits_reshaped(takes: Shape, pictures: Shape) -> bool:
    """Whether an input of that shape takes (height, width, channels) flat, or grey images without channels."""
    return takes == (int(np.prod(pictures)),) or (pictures[-1] == 1 and takes == pictures[:-1])


def _layer_by_layer(model: keras.Model, value: keras.KerasTensor) -> keras.KerasTensor:
    """Call the layers of a model on a symbolic value; `model(value)` would be one layer, which hides its own layers."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            value = layer(value)
        return value
    # `model.call` would put a conversion of the input before it.
    return call_layers(model, value)
