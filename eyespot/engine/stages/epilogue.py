"""Bias, batch normalisation, maximum pool, leaky ReLU and dropout as one pass over memory (extra `fast`)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.kernels.epilogue import Affine, Arriving, Dropout, Window, affine_sums, backward, forward
from eyespot.engine.kernels.moments import moments
from eyespot.engine.kernels.numbers import bits, f32, u32
from eyespot.engine.stage import Parameter, Parameters, Step

CHUNKS = 16  # partial sums: more than threads, so that these stay busy; few, so that adding them up costs nothing
NONE = np.zeros(0, np.float32)
NO_POOL = Window(1, 1, 0, 0)
IDENTITY = Affine(used=False, scale=NONE, shift=NONE)


@dataclass(frozen=True)
class Tail:
    """What is done to the values, in an order that gives the same: pool, leaky ReLU, dropout.

    Attributes:
        names: what is in it, for people.
        window: of the maximum pool; 1x1 where there is none.
        output_sides: height and width after the pool; None where they stay.
        slope: of the activation below zero; 1 where there is none.
        rate: of dropout; 0 where there is none.
        index: of the dropout's call, for its random numbers.
    """

    names: tuple[str, ...] = ()
    window: Window = NO_POOL
    output_sides: tuple[int, int] | None = None
    slope: float = 1.0
    rate: float = 0.0
    index: int = 0

    def dropout(self, step: Step) -> Dropout:
        """The draw of a step."""
        if not step.training or not self.rate:
            return Dropout(u32(0), f32(1), u32(0), u32(0))
        first, second = step.keys(self.index)
        return Dropout(u32(round(self.rate * 2**32)), f32(1 / (1 - self.rate)), u32(first), u32(second))

    def run(self, values: Tensor, affine: Affine, dropout: Dropout) -> tuple[Tensor, np.ndarray]:
        """The output, [n, height', width', channels] in the dtype of the values, and its codes."""
        count, height, width, channels = values.shape
        shape = (count, *(self.output_sides or (height, width)), channels)
        output, code = torch.empty(shape, dtype=values.dtype), np.empty(shape, np.uint8)
        forward(bits(values), affine, self.window, f32(self.slope), dropout, bits(output), code)
        return output, code

    def arriving(self, gradient: Tensor, code: np.ndarray, growth: np.float32) -> Arriving:
        """What the backward pass begins with."""
        return Arriving(bits(gradient.contiguous().view(code.shape)), code, f32(self.slope), growth)


class EpilogueStage:
    """A tail behind a convolution or a dense layer, or behind nothing.

    Args:
        bias: of the layer before; its gradient is summed here, where every value passes anyway.
    """

    def __init__(self, tail: Tail, bias: Parameter | None) -> None:
        self.tail, self.bias = tail, bias
        self.parameters = [bias] if bias else []
        self.how = " + ".join([*(["bias"] if bias else []), *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        self.shape = inputs[0].shape
        values = _as_pictures(inputs[0])
        dropout = self.tail.dropout(step)
        self.growth = dropout.growth
        output, self.code = self.tail.run(values, IDENTITY, dropout)
        self.picture_shape = values.shape
        return output if len(self.shape) == len(values.shape) else output.view(self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        arriving = self.tail.arriving(gradient, self.code, self.growth)
        upstream = torch.empty(self.picture_shape, dtype=gradient.dtype)
        sums = np.empty((CHUNKS, self.picture_shape[-1]))
        backward(arriving, self.tail.window, IDENTITY, NONE, NONE, bits(upstream), bits(upstream), sums)
        if self.bias:
            self.bias.add(torch.from_numpy(sums.sum(0).astype(np.float32)))
        return [upstream.view(self.shape)]


class NormalizedEpilogueStage:
    """Batch normalisation and a tail: Ioffe and Szegedy 2015 (arXiv:1502.03167).

    With batch statistics in training, moving averages otherwise. Statistics, scale and shift are float32.
    """

    def __init__(self, layer: keras.layers.BatchNormalization, tail: Tail, parameters: Parameters) -> None:
        self.layer, self.tail = layer, tail
        self.gamma = parameters.of(layer.gamma, torch.float32) if layer.scale else None
        self.beta = parameters.of(layer.beta, torch.float32) if layer.center else None
        self.parameters = [parameter for parameter in (self.gamma, self.beta) if parameter]
        self.epsilon, self.momentum = f32(layer.epsilon), f32(layer.momentum)
        self.how = " + ".join(["batch normalisation", *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        self.shape = inputs[0].shape
        self.values = _as_pictures(inputs[0])
        self.by_batch = step.training and self.layer.trainable
        moving_mean, moving_variance = (
            variable.value.detach().numpy() for variable in (self.layer.moving_mean, self.layer.moving_variance)
        )
        self.mean, variance = moving_mean, moving_variance
        if self.by_batch:
            self.mean, variance = moments(bits(self.values).reshape(-1, self.shape[-1]), CHUNKS)
            moving_mean += (self.mean - moving_mean) * (1 - self.momentum)
            moving_variance += (variance - moving_variance) * (1 - self.momentum)
        self.deviation = np.sqrt(variance + self.epsilon)
        self.scale = (self.gamma.master.numpy() if self.gamma else f32(1)) / self.deviation
        shift = (self.beta.master.numpy() if self.beta else f32(0)) - self.mean * self.scale
        dropout = self.tail.dropout(step)
        self.growth = dropout.growth
        output, self.code = self.tail.run(self.values, Affine(used=True, scale=self.scale, shift=shift), dropout)
        return output if len(self.shape) == len(self.values.shape) else output.view(self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """Equations of the paper's section 3; of frozen statistics, a scale."""
        channels, window = self.shape[-1], self.tail.window
        arriving, values = self.tail.arriving(gradient, self.code, self.growth), bits(self.values)
        sums, products = np.empty((2, CHUNKS, channels))
        affine_sums(arriving, window, values, self.mean, sums, products)
        of_shift, of_distance = sums.sum(0).astype(np.float32), products.sum(0).astype(np.float32)
        if self.gamma:
            self.gamma.add(torch.from_numpy(of_distance / self.deviation))
        if self.beta:
            self.beta.add(torch.from_numpy(of_shift))
        if not wanted:
            return [None]
        count = f32(values.size // channels if self.by_batch else np.inf)
        linear = -self.scale * of_distance / self.deviation**2 / count
        shift = -self.scale * of_shift / count
        upstream = torch.empty_like(self.values)
        affine = Affine(used=True, scale=self.scale, shift=shift)
        backward(arriving, window, affine, linear, self.mean, values, bits(upstream), sums)
        return [upstream.view(self.shape)]


def _as_pictures(values: Tensor) -> Tensor:
    """[n, height, width, channels]; anything else as pictures of one row."""
    if values.dim() == 4:  # noqa: PLR2004
        return values
    return values.reshape(len(values), 1, -1, values.shape[-1])
