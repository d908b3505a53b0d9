"""Stages of the linear layers, dense and convolutional, without their activation."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Pass
from eyespot.models.graph import same_padding

aten = torch.ops.aten


class DenseStage:
    """x @ kernel + bias, over the last axis."""

    how = "matrix product"

    def __init__(self, layer: keras.layers.Dense, parameters: Parameters) -> None:
        self.kernel = parameters.of(layer.kernel)
        self.bias = parameters.of(layer.bias) if layer.use_bias else None
        self.parameters = [parameter for parameter in (self.kernel, self.bias) if parameter]
        self.sums_bias = True  # unless a fused stage behind it does

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[..., features] to [..., units]."""
        saved = passing.of(self)
        saved.rows = rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        saved.shape = inputs[0].shape
        if self.bias is None:
            output = rows @ self.kernel.value
        else:
            output = torch.addmm(self.bias.value, rows, self.kernel.value)
        return output.view(*saved.shape[:-1], -1)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """Two matrix products and a sum."""
        saved = passing.of(self)
        rows = gradient.reshape(len(saved.rows), -1)
        passing.add(self.kernel, saved.rows.t() @ rows)
        if self.bias and self.sums_bias:
            passing.add(self.bias, rows.sum(0))
        return [(rows @ self.kernel.value.t()).view(saved.shape) if needs_input_gradient else None]


class ConvolutionStage:
    """Conv2D and DepthwiseConv2D, with any padding, stride, dilation and groups."""

    how = "convolution"

    def __init__(self, layer: keras.Layer, input_shape: tuple[int, ...], parameters: Parameters) -> None:
        self.kernel = parameters.of(layer.kernel)
        self.bias = parameters.of(layer.bias) if layer.use_bias else None
        self.parameters = [parameter for parameter in (self.kernel, self.bias) if parameter]
        self.sums_bias = True  # unless a fused stage behind it does
        self.depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        self.groups = input_shape[-1] if self.depthwise else layer.groups
        self.stride, self.dilation = list(layer.strides), list(layer.dilation_rate)
        top, left, bottom, right = same_padding(layer, input_shape[:2], layer.kernel_size, layer.dilation_rate)
        self.even = (top, left) == (bottom, right)
        self.padding = [top, left] if self.even else [0, 0]
        self.around = [left, right, top, bottom]

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', filters]."""
        picture = inputs[0].permute(0, 3, 1, 2)
        passing.of(self).picture = picture = picture if self.even else torch.constant_pad_nd(picture, self.around)
        bias = self.bias.value if self.bias else None
        output = aten.convolution(picture, self._weight(), bias, *self._settings())
        return output.permute(0, 2, 3, 1).contiguous()

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """PyTorch's own gradients of a convolution."""
        picture, weight = passing.of(self).picture, self._weight()
        sizes = [weight.shape[0]] if self.bias else None
        masks = [needs_input_gradient, True, self.bias is not None and self.sums_bias]
        input_gradient, weight_gradient, bias_gradient = aten.convolution_backward(
            gradient.permute(0, 3, 1, 2), picture, weight, sizes, *self._settings(), masks
        )
        passing.add(self.kernel, self._as_keras(weight_gradient))
        if self.bias and self.sums_bias:
            passing.add(self.bias, bias_gradient)
        if not needs_input_gradient:
            return [None]
        if not self.even:
            left, right, top, bottom = self.around
            input_gradient = input_gradient[
                :, :, top : input_gradient.shape[2] - bottom, left : input_gradient.shape[3] - right
            ]
        return [input_gradient.permute(0, 2, 3, 1).contiguous()]

    def _settings(self) -> tuple[object, ...]:
        return self.stride, self.padding, self.dilation, False, [0, 0], self.groups

    def _weight(self) -> Tensor:
        """The kernel as PyTorch wants it, [filters, channels of a group, height, width]."""
        kernel = self.kernel.value
        if self.depthwise:  # [height, width, channels, multiplier]
            return kernel.permute(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
        return kernel.permute(3, 2, 0, 1)

    def _as_keras(self, gradient: Tensor) -> Tensor:
        """The kernel's gradient in Keras's order."""
        if self.depthwise:
            height, width, channels, multiplier = self.kernel.master.shape
            return gradient.reshape(channels, multiplier, height, width).permute(2, 3, 0, 1)
        return gradient.permute(2, 3, 1, 0)
