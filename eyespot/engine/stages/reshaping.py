"""Stages that move values without changing them: flatten, reshape, pad, add, concatenate."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter, Pass


class ReshapeStage:
    """Flatten and Reshape."""

    how = "view"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.parameters: list[Parameter] = []
        self.shape = shape

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, ...] to [n, *shape]."""
        passing.of(self).before = inputs[0].shape
        return inputs[0].reshape(len(inputs[0]), *self.shape)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The shape it had."""
        return [gradient.reshape(passing.of(self).before) if needs_input_gradient else None]


class ZeroPaddingStage:
    """ZeroPadding2D."""

    how = "padding"

    def __init__(self, layer: keras.layers.ZeroPadding2D) -> None:
        self.parameters: list[Parameter] = []
        self.rows, self.columns = layer.padding

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels]: zeros around each image."""
        return torch.constant_pad_nd(inputs[0], [0, 0, *self.columns, *self.rows])

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient without the border."""
        (top, bottom), (left, right) = self.rows, self.columns
        height, width = gradient.shape[1:3]
        return [gradient[:, top : height - bottom, left : width - right].contiguous() if needs_input_gradient else None]


class AddStage:
    """Add."""

    how = "sum"

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any number of inputs; shapes are broadcast as NumPy does."""
        passing.of(self).shapes = [value.shape for value in inputs]
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return total

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradient of each input, summed where it was broadcast."""
        return [gradient.sum_to_size(shape) if needs_input_gradient else None for shape in passing.of(self).shapes]


class ConcatenateStage:
    """Concatenate."""

    how = "concatenation"

    def __init__(self, axis: int) -> None:
        self.parameters: list[Parameter] = []
        self.axis = axis

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any number of inputs."""
        passing.of(self).sizes = [value.shape[self.axis] for value in inputs]
        return torch.cat(inputs, self.axis)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The part of the gradient that belongs to each input."""
        sizes = passing.of(self).sizes
        if not needs_input_gradient:
            return [None] * len(sizes)
        return [part.contiguous() for part in gradient.split(sizes, self.axis)]
