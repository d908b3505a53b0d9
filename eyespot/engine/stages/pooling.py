"""Maximum, average and global pools."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter, Step
from eyespot.models.padding import same_padding

aten = torch.ops.aten


class MaxPoolStage:
    """MaxPooling2D; padding counts as minus infinity."""

    how = "maximum pool"

    def __init__(self, layer: keras.layers.MaxPooling2D, input_shape: tuple[int, ...]) -> None:
        self.parameters: list[Parameter] = []
        self.window, self.stride = list(layer.pool_size), list(layer.strides)
        top, left, bottom, right = same_padding(layer, input_shape[:2], layer.pool_size)
        self.around = [left, right, top, bottom]

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]."""
        picture = inputs[0].permute(0, 3, 1, 2)
        self.picture = torch.constant_pad_nd(picture, self.around, -torch.inf) if any(self.around) else picture
        output, self.places = aten.max_pool2d_with_indices(self.picture, self.window, self.stride)
        return output.permute(0, 2, 3, 1).contiguous()

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """To the place the maximum came from."""
        if not wanted:
            return [None]
        upstream = aten.max_pool2d_with_indices_backward(
            gradient.permute(0, 3, 1, 2), self.picture, self.window, self.stride, [0, 0], [1, 1], False, self.places
        )
        left, right, top, bottom = self.around
        upstream = upstream[:, :, top : upstream.shape[2] - bottom, left : upstream.shape[3] - right]
        return [upstream.permute(0, 2, 3, 1).contiguous()]


class GlobalAverageStage:
    """GlobalAveragePooling2D."""

    how = "mean"

    def __init__(self, layer: keras.layers.GlobalAveragePooling2D) -> None:
        self.parameters: list[Parameter] = []
        self.keepdims = layer.keepdims

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[n, height, width, channels] to [n, channels], or [n, 1, 1, channels]."""
        self.shape = inputs[0].shape
        return inputs[0].mean((1, 2), keepdim=self.keepdims)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """An equal share to every pixel."""
        if not wanted:
            return [None]
        count, height, width, channels = self.shape
        share = gradient.reshape(count, 1, 1, channels) / (height * width)
        return [share.expand(self.shape).contiguous()]
