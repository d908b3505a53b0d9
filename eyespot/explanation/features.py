"""Feature maps: what each layer makes of a picture."""

from dataclasses import dataclass

import numpy as np
import torch

from eyespot.explanation.network import Network
from eyespot.shapes import Float32, Shaped, UInt8


@dataclass(frozen=True, eq=False)
class LayerValue:
    """What one call of a layer gives for one picture.

    Attributes:
        layer: its name.
        kind: its class, as Keras calls it.
        value: `[height, width, channels]` or `[units]`, float32, before the softmax where the layer is the last.
    """

    layer: str
    kind: str
    value: Float32[np.ndarray, "..."]


def feature_maps(network: Network, image: UInt8[np.ndarray, "height width channels"]) -> list[LayerValue]:
    """Each layer's value, in the order they run; layers that change no number at inference, as dropout, are left out.

    Maps whose channels come first (`data_format`) are turned.
    """
    with torch.no_grad():
        values = [value[0].float().cpu().numpy() for value in network.values(network.pixels(image[None]))]
    before: list[Shaped[np.ndarray, ...]] = [image]
    found = []
    for call, value in zip(network.calls, values, strict=True):
        if not any(np.array_equal(value.ravel(), known.ravel()) for known in before[-1:]):
            first = getattr(call.layer, "data_format", None) == "channels_first" and value.ndim == image.ndim
            found.append(
                LayerValue(call.layer.name, type(call.layer).__name__, np.moveaxis(value, 0, -1) if first else value)
            )
            before.append(value)
    return found
