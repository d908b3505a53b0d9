"""Stages that treat every value by itself: arithmetic, casts, rescaling, activations, dropout."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter, Parameters, Pass
from eyespot.random import random_bits

aten = torch.ops.aten


class MultiplyStage:
    """Multiply."""

    how = "product"

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any number of inputs; shapes are broadcast as NumPy does."""
        passing.of(self).inputs = inputs
        return math.prod(inputs[1:], start=inputs[0])

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """Each input's gradient: times the product of the others, summed where it was broadcast."""
        inputs: list[Tensor] = passing.of(self).inputs
        if not needs_input_gradient:
            return [None] * len(inputs)
        others = [inputs[:index] + inputs[index + 1 :] for index in range(len(inputs))]
        return [
            math.prod(factors, start=gradient).sum_to_size(value.shape)
            for value, factors in zip(inputs, others, strict=True)
        ]


class ScaleStage:
    """x * scale + offset, by two numbers."""

    how = "scale"

    def __init__(self, scale: float, offset: float) -> None:
        self.parameters: list[Parameter] = []
        self.scale, self.offset = scale, offset

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape."""
        scaled = inputs[0] * self.scale if self.scale != 1 else inputs[0]
        return scaled + self.offset if self.offset else scaled

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """A scale."""
        return [(gradient * self.scale if self.scale != 1 else gradient) if needs_input_gradient else None]


class CastStage:
    """Values of any dtype in that of the computation."""

    how = "dtype"

    def __init__(self, dtype: torch.dtype) -> None:
        self.parameters: list[Parameter] = []
        self.dtype = dtype

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape."""
        return inputs[0].to(self.dtype)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient as it is."""
        return [gradient if needs_input_gradient else None]


class RescalingStage:
    """x * scale + offset, also of `uint8` pixels."""

    how = "scale"

    def __init__(self, layer: keras.layers.Rescaling, parameters: Parameters) -> None:
        self.parameters: list[Parameter] = []
        self.dtype = parameters.dtype
        self.scale, self.offset = (
            torch.tensor(number, device=parameters.device) for number in (layer.scale, layer.offset)
        )
        self.is_plain = isinstance(layer.scale, float) and layer.offset == 0

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape; computed in float32."""
        if self.is_plain and inputs[0].dtype == torch.uint8:  # whole numbers up to 255 are exact in bfloat16 too
            return inputs[0].to(self.dtype).mul_(self.scale)
        return (inputs[0].float() * self.scale + self.offset).to(self.dtype)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """A scale."""
        return [(gradient * self.scale).to(gradient.dtype) if needs_input_gradient else None]


class NormalizationStage:
    """Normalization by mean and variance known before training, also of `uint8` pixels."""

    how = "scale"

    def __init__(self, layer: keras.layers.Normalization, dtype: torch.dtype) -> None:
        self.parameters: list[Parameter] = []
        self.dtype, self.inverted = dtype, layer.invert
        self.mean: Tensor = keras.ops.convert_to_tensor(layer.mean).detach()
        variance = keras.ops.convert_to_tensor(layer.variance).detach()
        self.deviation: Tensor = variance.sqrt().clamp(min=keras.config.epsilon())

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape; computed in float32."""
        values = inputs[0].float()
        values = values * self.deviation + self.mean if self.inverted else (values - self.mean) / self.deviation
        return values.to(self.dtype)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """A scale."""
        if not needs_input_gradient:
            return [None]
        return [(gradient * self.deviation if self.inverted else gradient / self.deviation).to(gradient.dtype)]


class LeakyReluStage:
    """x where it is positive, slope * x elsewhere; ReLU has slope 0."""

    how = "activation"

    def __init__(self, slope: float) -> None:
        self.parameters: list[Parameter] = []
        self.slope = slope

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape."""
        values: Tensor = aten.leaky_relu(inputs[0], self.slope) if self.slope else torch.relu(inputs[0])
        passing.of(self).values = values
        return values

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient by the sign of the output, which is that of the input."""
        if not needs_input_gradient:
            return [None]
        values = passing.of(self).values
        if self.slope:
            return [aten.leaky_relu_backward(gradient, values, self.slope, True)]
        return [aten.threshold_backward(gradient, values, 0)]


class ActivationStage:
    """Any of Keras's activation functions, differentiated by PyTorch."""

    how = "activation"

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.parameters: list[Parameter] = []
        self.function = function

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape."""
        saved, training = passing.of(self), passing.step.training
        saved.input = inputs[0].detach().requires_grad_(training)
        with torch.set_grad_enabled(training):
            saved.output = self.function(saved.input)
        return cast("Tensor", saved.output.detach())

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient of PyTorch's autograd."""
        saved = passing.of(self)
        return [torch.autograd.grad(saved.output, saved.input, gradient)[0] if needs_input_gradient else None]


class DropoutStage:
    """Dropout: Srivastava et al. 2014. Kept values are divided by the share that is kept."""

    how = "dropout"

    def __init__(self, layer: keras.layers.Dropout, index: int) -> None:
        self.parameters: list[Parameter] = []
        self.rate, self.index = float(layer.rate), index
        self.threshold = round(self.rate * 2**32)

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape; outside training the values as they are."""
        saved = passing.of(self)
        saved.mask = None
        if not passing.step.training or not self.rate:
            return inputs[0]
        values = inputs[0]
        keys = passing.step.keys_on(values.device)
        key_indices = torch.arange(2 * self.index, 2 * self.index + 2, device=values.device)
        first, second = random_bits(key_indices, keys[0], keys[1])
        bits = random_bits(torch.arange(values.numel(), device=values.device), first, second)
        saved.mask = bits.ge(self.threshold).to(values.dtype).mul_(1 / (1 - self.rate)).view(values.shape)
        return values * saved.mask

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient under the mask of the forward pass."""
        if not needs_input_gradient:
            return [None]
        mask = passing.of(self).mask
        return [gradient if mask is None else gradient * mask]
