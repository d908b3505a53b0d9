"""Stages of plain arithmetic: products, constants, dtypes."""

import math

import torch
from torch import Tensor

from eyespot.engine.stage import Parameter, Pass


class MultiplyStage:
    """Multiply."""

    how = "product"

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any number of inputs; shapes are broadcast as NumPy does."""
        passing.of(self).inputs = inputs
        return math.prod(inputs[1:], start=inputs[0])

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """To each input the product of the others, summed where it was broadcast."""
        inputs: list[Tensor] = passing.of(self).inputs
        if not wanted:
            return [None] * len(inputs)
        others = [inputs[:place] + inputs[place + 1 :] for place in range(len(inputs))]
        return [
            math.prod(rest, start=gradient).sum_to_size(one.shape) for one, rest in zip(inputs, others, strict=True)
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

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """A scale."""
        return [(gradient * self.scale if self.scale != 1 else gradient) if wanted else None]


class CastStage:
    """Values of any dtype in that of the computation."""

    how = "dtype"

    def __init__(self, dtype: torch.dtype) -> None:
        self.parameters: list[Parameter] = []
        self.dtype = dtype

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape."""
        return inputs[0].to(self.dtype)

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """The gradient as it is."""
        return [gradient if wanted else None]
