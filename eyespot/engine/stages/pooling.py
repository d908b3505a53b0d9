"""Maximum, average and global pools."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter, Pass
from eyespot.models.graph import same_padding

aten = torch.ops.aten


class MaxPoolStage:
    """MaxPooling2D; padding counts as minus infinity."""

    how = "maximum pool"

    def __init__(self, layer: keras.layers.MaxPooling2D, input_shape: tuple[int, ...]) -> None:
        self.parameters: list[Parameter] = []
        self.window, self.stride = list(layer.pool_size), list(layer.strides)
        top, left, bottom, right = same_padding(layer, input_shape[:2], layer.pool_size)
        self.around = [left, right, top, bottom]
        height, width = input_shape[0] + top + bottom, input_shape[1] + left + right
        self.output_sides = (
            (height - self.window[0]) // self.stride[0] + 1,
            (width - self.window[1]) // self.stride[1] + 1,
        )

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]."""
        picture = inputs[0].permute(0, 3, 1, 2)
        saved = passing.of(self)
        saved.picture = torch.constant_pad_nd(picture, self.around, -torch.inf) if any(self.around) else picture
        output, saved.places = aten.max_pool2d_with_indices(saved.picture, self.window, self.stride)
        return output.permute(0, 2, 3, 1).contiguous()

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient at the pixel that the maximum came from."""
        if not needs_input_gradient:
            return [None]
        saved = passing.of(self)
        input_gradient = aten.max_pool2d_with_indices_backward(
            gradient.permute(0, 3, 1, 2), saved.picture, self.window, self.stride, [0, 0], [1, 1], False, saved.places
        )
        left, right, top, bottom = self.around
        input_gradient = input_gradient[
            :, :, top : input_gradient.shape[2] - bottom, left : input_gradient.shape[3] - right
        ]
        return [input_gradient.permute(0, 2, 3, 1).contiguous()]


class AveragePoolStage:
    """AveragePooling2D as Keras has it on PyTorch.

    Padding is left out of the average, but where the two sides differ, the border is repeated and counted.
    """

    how = "average pool"

    def __init__(self, layer: keras.layers.AveragePooling2D, input_shape: tuple[int, ...]) -> None:
        self.parameters: list[Parameter] = []
        top, left, bottom, right = same_padding(layer, input_shape[:2], layer.pool_size)
        self.even = (top, left) == (bottom, right)
        self.around = [left, right, top, bottom]
        self.padding = [top, left] if self.even else [0, 0]
        # Neither sides rounded up, nor padding counted, nor another divisor.
        self.settings = list(layer.pool_size), list(layer.strides), self.padding, False, False, None

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]."""
        picture = inputs[0].permute(0, 3, 1, 2)
        picture = picture if self.even else aten.replication_pad2d(picture, self.around)
        passing.of(self).picture = picture
        return aten.avg_pool2d(picture, *self.settings).permute(0, 2, 3, 1).contiguous()

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """An equal share to every pixel of the window."""
        if not needs_input_gradient:
            return [None]
        picture = passing.of(self).picture
        if picture.is_cuda and any(self.padding):
            # Where channels come last, a GPU's is wrong with padding (PyTorch 2.11; pytorch/pytorch issue 188344).
            # Only the image's shape and layout in memory count.
            picture = picture.new_empty(picture.shape)
        input_gradient = aten.avg_pool2d_backward(gradient.permute(0, 3, 1, 2), picture, *self.settings)
        if not self.even:
            input_gradient = _of_repeated_border(input_gradient, self.around)
        return [input_gradient.permute(0, 2, 3, 1).contiguous()]


def _of_repeated_border(gradient: Tensor, around: list[int]) -> Tensor:
    """The gradient [n, channels, height, width] of an image whose border was repeated; the argument is changed.

    PyTorch's own adds in an order that changes, on a GPU.
    """
    left, right, top, bottom = around
    for axis, before, after in ((3, left, right), (2, top, bottom)):
        first, inner, last = gradient.split((before, gradient.shape[axis] - before - after, after), axis)
        inner.narrow(axis, 0, 1).add_(first.sum(axis, keepdim=True))
        inner.narrow(axis, -1, 1).add_(last.sum(axis, keepdim=True))
        gradient = inner
    return gradient


class GlobalMaxStage:
    """GlobalMaxPooling2D."""

    how = "maximum"

    def __init__(self, layer: keras.layers.GlobalMaxPooling2D) -> None:
        self.parameters: list[Parameter] = []
        self.keepdims = layer.keepdims

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, channels], or [n, 1, 1, channels]."""
        saved = passing.of(self)
        saved.picture = inputs[0]
        saved.highest = highest = inputs[0].amax((1, 2), keepdim=True)
        return highest if self.keepdims else highest[:, 0, 0]

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient in equal shares at the pixels that have the maximum."""
        if not needs_input_gradient:
            return [None]
        saved = passing.of(self)
        is_highest = saved.picture.eq(saved.highest)
        share = gradient.view(saved.highest.shape) / is_highest.sum((1, 2), keepdim=True)
        return [is_highest * share.to(gradient.dtype)]


class GlobalAverageStage:
    """GlobalAveragePooling2D."""

    how = "mean"

    def __init__(self, layer: keras.layers.GlobalAveragePooling2D) -> None:
        self.parameters: list[Parameter] = []
        self.keepdims = layer.keepdims

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, channels], or [n, 1, 1, channels]."""
        passing.of(self).shape = inputs[0].shape
        return inputs[0].mean((1, 2), keepdim=self.keepdims)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """An equal share to every pixel."""
        if not needs_input_gradient:
            return [None]
        shape = passing.of(self).shape
        count, height, width, channels = shape
        share = gradient.reshape(count, 1, 1, channels) / (height * width)
        return [share.expand(shape).contiguous()]
