"""Grad-CAM and HiResCAM: where in a convolution's last feature maps a class is found."""

import numpy as np

from eyespot.backend import keras  # before PyTorch, whose threads it has wait briefly

# isort: split
import torch

from eyespot.errors import ModelError
from eyespot.explanation.network import Network
from eyespot.models.graph import Call
from eyespot.shapes import Float32, Int64, UInt8

layers = keras.layers
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose)


def gradcam(
    network: Network, images: UInt8[np.ndarray, "n height width channels"], labels: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, "n height width"]:
    """The feature maps behind the last convolution, weighted by the mean gradient of the class's logit, above 0.

    Selvaraju et al. 2017 (arXiv:1610.02391), equations 1 and 2; brought to the pictures' size by linear interpolation.
    A network whose dense layers take the maps pixel by pixel gives each place a weight of its own, which the mean
    loses: `hirescam` keeps it. On Fashion-MNIST Grad-CAM of the default network was no better than chance: the area
    under its deletion curve was 0.437, HiResCAM's 0.247, that of random maps 0.390 (`tests/slow/test_explanations.py`).

    Args:
        labels: the class to explain, of each picture.

    Returns:
        Relative levels; 0 everywhere where no channel speaks for the class.

    Raises:
        ModelError: the model has no convolution that leaves more than one pixel.
    """
    return _weighted(network, images, labels, averaged=True)


def _weighted(
    network: Network,
    images: UInt8[np.ndarray, "n height width channels"],
    labels: Int64[np.ndarray, " n"],
    *,
    averaged: bool,
) -> Float32[np.ndarray, "n height width"]:
    parts = [slice(start, start + network.batch) for start in range(0, len(images), network.batch)]
    return np.concatenate([_of_batch(network, images[part], labels[part], averaged=averaged) for part in parts])


def _of_batch(
    network: Network,
    images: UInt8[np.ndarray, "n height width channels"],
    labels: Int64[np.ndarray, " n"],
    *,
    averaged: bool,
) -> Float32[np.ndarray, "n height width"]:
    index, channels_first = last_maps(network)
    values = network.values(network.pixels(images, gradient=True))
    maps, slopes = values[index], network.gradient(values[-1], labels, values[index])
    if not channels_first:
        maps, slopes = maps.movedim(-1, 1), slopes.movedim(-1, 1)
    with torch.no_grad():
        weights = slopes.mean(dim=(2, 3), keepdim=True) if averaged else slopes
        coarse = (weights * maps).sum(dim=1, keepdim=True).relu().float()
        fine = torch.nn.functional.interpolate(coarse, size=images.shape[1:3], mode="bilinear", align_corners=False)
    cams: Float32[np.ndarray, "n height width"] = fine[:, 0].cpu().numpy()
    return cams


def last_maps(network: Network) -> tuple[int, bool]:
    """Index of the value that holds the maps, and whether its channels come first.

    Behind the last convolution that leaves more than one pixel, its normalisation and its activation, but before a pool
    makes it coarser.

    Raises:
        ModelError: as of `gradcam`.
    """
    calls = network.calls
    candidates = [
        index
        for index, call in enumerate(calls)
        if isinstance(call.layer, CONVOLUTIONS) and max(_sides(call.output, first=_channels_first(call.layer))) > 1
    ]
    if not candidates:
        raise ModelError(f"{network.name} has no convolution that leaves more than one pixel.")
    index = candidates[-1]
    channels_first = _channels_first(calls[index].layer)
    while index + 1 < len(calls) and _goes_on(calls[index + 1], calls[index].output):
        index += 1
    return index, channels_first


def _sides(tensor: keras.KerasTensor, *, first: bool) -> tuple[int, ...]:
    return tuple(tensor.shape[2:] if first else tensor.shape[1:-1])


def _channels_first(layer: keras.Layer) -> bool:
    return bool(layer.data_format == "channels_first")


def _goes_on(call: Call, maps: keras.KerasTensor) -> bool:
    """Whether a call only makes other maps of these: of the same size, with as many channels."""
    return call.output.shape[1:] == maps.shape[1:] and any(tensor is maps for tensor in call.inputs)


def hirescam(
    network: Network, images: UInt8[np.ndarray, "n height width channels"], labels: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, "n height width"]:
    """Grad-CAM with the gradient of each pixel instead of the mean; arguments and result as of `gradcam`.

    Draelos and Carin 2020 (arXiv:2011.08891), equation 4. Where global average pooling follows, both give the same.
    """
    return _weighted(network, images, labels, averaged=False)


def average_follows(network: Network) -> bool:
    """Whether only an average over all places follows the maps, so that both CAMs are the same.

    Raises:
        ModelError: as of `gradcam`.
    """
    index, _ = last_maps(network)
    return any(
        isinstance(call.layer, layers.GlobalAveragePooling2D)
        and any(tensor is network.calls[index].output for tensor in call.inputs)
        for call in network.calls
    )
