"""Inside a network: feature maps, filters of the first layer, and the nearest training images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eyespot.backend import keras  # before PyTorch, whose threads it has wait briefly

# isort: split
import torch

from eyespot.data.dataset import RowView
from eyespot.errors import ModelError
from eyespot.explanation.network import Network
from eyespot.shapes import Float32, Int64, Shaped, UInt8

layers = keras.layers
KEEP_PIXELS_IN_ORDER = (
    layers.Rescaling, layers.Normalization, layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity,
    layers.GaussianNoise, layers.BatchNormalization,
)  # fmt: skip
AT_ONCE = 256
FeatureFunction = Callable[[UInt8[np.ndarray, "n height width channels"]], Float32[np.ndarray, "n d"]]


@dataclass(frozen=True, eq=False)
class LayerOutput:
    """Output of one call of a layer for one picture.

    Attributes:
        layer: its name.
        kind: its class, as Keras calls it.
        value: `[height, width, channels]` or `[units]`, float32, before the softmax where the layer is the last.
    """

    layer: str
    kind: str
    value: Float32[np.ndarray, "..."]


def feature_maps(network: Network, image: UInt8[np.ndarray, "height width channels"]) -> list[LayerOutput]:
    """Each layer's value, in the order they run; layers that change no number at inference, as dropout, are left out.

    Maps whose channels come first (`data_format`) are turned.
    """
    with torch.no_grad():
        values = [value[0].float().cpu().numpy() for value in network.values(network.pixels(image[None]))]
    distinct: list[Shaped[np.ndarray, ...]] = [image]
    outputs = []
    for call, value in zip(network.calls, values, strict=True):
        if not any(np.array_equal(value.ravel(), previous.ravel()) for previous in distinct[-1:]):
            channels_first = getattr(call.layer, "data_format", None) == "channels_first" and value.ndim == image.ndim
            outputs.append(
                LayerOutput(
                    call.layer.name, type(call.layer).__name__, np.moveaxis(value, 0, -1) if channels_first else value
                )
            )
            distinct.append(value)
    return outputs


@dataclass(frozen=True, eq=False)
class Filters:
    """The weights of a first layer.

    Attributes:
        layer: its name.
        kind: its class, as Keras calls it.
        kernels: one picture a filter or unit, `[n, height, width, channels]`; channels are the input's.
    """

    layer: str
    kind: str
    kernels: Float32[np.ndarray, "n height width channels"]


def first_filters(network: Network) -> Filters:
    """The kernels of the first convolution, or the weights of each unit of a dense layer that takes the pixels.

    Raises:
        ModelError: the first layer with weights is neither.
    """
    height, width, channels = network.input_shape
    in_order = True
    for call in network.calls:
        layer = call.layer
        if type(layer) in (layers.Conv2D, layers.SeparableConv2D, layers.DepthwiseConv2D):
            return _filters(layer, _kernels(layer))
        if type(layer) is layers.Dense and in_order and layer.kernel.shape[0] == height * width * channels:
            return _filters(layer, _array(layer.kernel).T.reshape(-1, height, width, channels))
        in_order &= isinstance(layer, KEEP_PIXELS_IN_ORDER)
        if getattr(layer, "trainable_weights", None) and not isinstance(layer, KEEP_PIXELS_IN_ORDER):
            break
    raise ModelError(f"{network.name} begins with neither a convolution nor a dense layer on its pixels.")


def _filters(layer: keras.Layer, kernels: Float32[np.ndarray, "n height width channels"]) -> Filters:
    return Filters(layer.name, type(layer).__name__, np.ascontiguousarray(kernels))


def _kernels(layer: keras.Layer) -> Float32[np.ndarray, "n height width channels"]:
    if type(layer) is layers.Conv2D:
        return np.moveaxis(_array(layer.kernel), -1, 0)
    kernel = _array(layer.kernel if type(layer) is layers.DepthwiseConv2D else layer.depthwise_kernel)
    one_each = kernel.reshape(*kernel.shape[:2], -1)  # a filter sees one channel
    return np.moveaxis(one_each, -1, 0)[..., None]


def _array(weight: keras.Variable) -> Float32[np.ndarray, "..."]:
    array: Float32[np.ndarray, ...] = keras.ops.convert_to_numpy(weight).astype(np.float32)
    return array


@dataclass(frozen=True, eq=False)
class NearestImages:
    """For each picture, the rows of those nearest to it, the nearest first, and how near they are.

    Attributes:
        rows: `[n, k]`.
        similarities: the cosine of the angle between the features, `[n, k]`, at most 1.
    """

    rows: Int64[np.ndarray, "n k"]
    similarities: Float32[np.ndarray, "n k"]


def find_nearest(
    features: FeatureFunction,
    images: UInt8[np.ndarray, "n height width channels"],
    among: UInt8[np.ndarray, "m height width channels"] | RowView,
    count: int,
    on_progress: Callable[[int], None] | None = None,
) -> NearestImages:
    """The pictures among others whose features point most nearly the same way; of equally near ones, the first.

    Args:
        features: what the model decides by, as `Predictor.features` gives it.
        among: read a few at a time, so that memory stays flat.
        count: how many, at most.
        on_progress: receives the number of the others that have been looked at.
    """
    queries = _unit(features(images))
    rows = np.zeros((len(images), 0), np.int64)
    similarities = np.zeros((len(images), 0), np.float32)
    for start in range(0, len(among), AT_ONCE):
        part = np.asarray(among[start : start + AT_ONCE])
        candidates = np.broadcast_to(np.arange(start, start + len(part)), (len(images), len(part)))
        rows = np.concatenate([rows, candidates], axis=1)
        similarities = np.concatenate([similarities, queries @ _unit(features(part)).T], axis=1)
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
        rows, similarities = np.take_along_axis(rows, best, axis=1), np.take_along_axis(similarities, best, axis=1)
        if on_progress:
            on_progress(start + len(part))
    return NearestImages(rows, np.clip(similarities, -1, 1))


def _unit(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Rows of length 1; one of zeros stays so, and is like nothing."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1).astype(np.float32)
