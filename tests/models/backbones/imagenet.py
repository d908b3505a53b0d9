"""Real photographs, and EfficientNet-Lite once more: a plain PyTorch forward of a state dict."""

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional

NAMES = {698: "palace", 985: "daisy"}  # of ImageNet's 1,000 classes
KERNELS_AND_STRIDES = "31 32 31 52 51 32 31 31 51 51 51 52 51 51 51 31"  # of each block's depthwise convolution


def photographs(side: int) -> np.ndarray:
    """A palace and a daisy: the largest square in the middle, in `side` pixels."""
    squares = []
    for pixels in load_sample_images().images:  # china.jpg, flower.jpg
        height, width, _ = pixels.shape
        top, left = (height - min(height, width)) // 2, (width - min(height, width)) // 2
        square = pixels[top : top + min(height, width), left : left + min(height, width)]
        squares.append(np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC)))
    return np.stack(squares)


def forward(state: dict[str, Tensor], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and probabilities of EfficientNet-Lite0, written from its paper and from TensorFlow's `same`."""
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.5) / 127.5
    x = _relu6(state, _conv(x, state["_conv_stem.weight"], 2), "_bn0")
    for number, (kernel, stride) in enumerate(map(tuple, KERNELS_AND_STRIDES.split())):
        start, prefix = x, f"_blocks.{number}."
        if number:
            x = _relu6(state, _conv(x, state[f"{prefix}_expand_conv.weight"]), f"{prefix}_bn0")
        depthwise = state[f"{prefix}_depthwise_conv.weight"]
        assert depthwise.shape[-1] == int(kernel)
        x = _relu6(state, _conv(x, depthwise, int(stride), groups=x.shape[1]), f"{prefix}_bn1")
        x = _normalized(state, _conv(x, state[f"{prefix}_project_conv.weight"]), f"{prefix}_bn2")
        x = x + start if x.shape == start.shape else x
    features = _relu6(state, _conv(x, state["_conv_head.weight"]), "_bn1").mean((2, 3))
    logits = functional.linear(features, state["_fc.weight"], state["_fc.bias"])
    return features.numpy(), logits.softmax(1).numpy()


def _conv(x: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """Padded as TensorFlow does: as much as the outputs need, the odd pixel below and on the right."""
    padding = []
    for side, kernel in zip(x.shape[:1:-1], weight.shape[:1:-1], strict=True):  # PyTorch pads the last side first
        needed = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        padding += [needed // 2, needed - needed // 2]
    return functional.conv2d(functional.pad(x, padding), weight, stride=stride, groups=groups)


def _normalized(state: dict[str, Tensor], x: Tensor, name: str) -> Tensor:
    mean, variance, gamma, beta = (
        state[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)


def _relu6(state: dict[str, Tensor], x: Tensor, name: str) -> Tensor:
    return functional.relu6(_normalized(state, x, name))
