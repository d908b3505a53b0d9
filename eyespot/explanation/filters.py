"""Filters: the first layer's weights as pictures."""

from dataclasses import dataclass

import numpy as np

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.explanation.network import Network
from eyespot.shapes import Float32

layers = keras.layers
KEEP_PIXELS_IN_ORDER = (
    layers.Rescaling, layers.Normalization, layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity,
    layers.GaussianNoise, layers.BatchNormalization,
)  # fmt: skip


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
            return _told(layer, _kernels(layer))
        if type(layer) is layers.Dense and in_order and layer.kernel.shape[0] == height * width * channels:
            return _told(layer, _array(layer.kernel).T.reshape(-1, height, width, channels))
        in_order &= isinstance(layer, KEEP_PIXELS_IN_ORDER)
        if getattr(layer, "trainable_weights", None) and not isinstance(layer, KEEP_PIXELS_IN_ORDER):
            break
    raise ModelError(f"{network.name} begins with neither a convolution nor a dense layer on its pixels.")


def _kernels(layer: keras.Layer) -> Float32[np.ndarray, "n height width channels"]:
    if type(layer) is layers.Conv2D:
        return np.moveaxis(_array(layer.kernel), -1, 0)
    kernel = _array(layer.kernel if type(layer) is layers.DepthwiseConv2D else layer.depthwise_kernel)
    one_each = kernel.reshape(*kernel.shape[:2], -1)  # a filter sees one channel
    return np.moveaxis(one_each, -1, 0)[..., None]


def _array(weight: keras.Variable) -> Float32[np.ndarray, "..."]:
    array: Float32[np.ndarray, ...] = keras.ops.convert_to_numpy(weight).astype(np.float32)
    return array


def _told(layer: keras.Layer, kernels: Float32[np.ndarray, "n height width channels"]) -> Filters:
    return Filters(layer.name, type(layer).__name__, np.ascontiguousarray(kernels))
