"""Bias, batch normalisation, maximum pool, leaky ReLU and dropout as one pass over memory (extra `fast`)."""

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.kernels.cpu.epilogue import Affine, Arriving, Dropout, affine_sums, backward, forward
from eyespot.engine.kernels.cpu.moments import moments
from eyespot.engine.kernels.cpu.numbers import bits, f32, u32
from eyespot.engine.stage import Parameter, Parameters, Step
from eyespot.engine.tail import Tail, as_pictures

CHUNKS = 16  # partial sums: more than threads, so that these stay busy; few, so that adding them up costs nothing


def run(tail: Tail, values: Tensor, affine: Affine | None, dropout: Dropout) -> tuple[Tensor, np.ndarray]:
    """The output, [n, height', width', channels] in the dtype of the values, and its codes."""
    shape = tail.output_shape(values.shape)
    output, code = torch.empty(shape, dtype=values.dtype), np.empty(shape, np.uint8)
    forward(bits(values), affine, tail.window, f32(tail.slope), dropout, bits(output), code)
    return output, code


def draw(tail: Tail, step: Step) -> Dropout:
    """The dropout of a step."""
    if not step.training or not tail.rate:
        return Dropout(u32(0), f32(1), u32(0), u32(0))
    first, second = step.keys(tail.index)
    return Dropout(u32(tail.threshold), f32(tail.growth), u32(first), u32(second))


def begin_backward(tail: Tail, gradient: Tensor, code: np.ndarray, growth: np.float32) -> Arriving:
    """What the backward pass begins with."""
    return Arriving(bits(gradient.contiguous().view(code.shape)), code, f32(tail.slope), growth)


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
        values = inputs[0].reshape(as_pictures(inputs[0].shape))
        dropout = draw(self.tail, step)
        self.growth = dropout.growth
        output, self.code = run(self.tail, values, None, dropout)
        self.picture_shape = values.shape
        return output if len(self.shape) == len(values.shape) else output.view(self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        arriving = begin_backward(self.tail, gradient, self.code, self.growth)
        upstream = torch.empty(self.picture_shape, dtype=gradient.dtype)
        sums = np.empty((CHUNKS, self.picture_shape[-1]))
        backward(arriving, self.tail.window, None, None, None, None, bits(upstream), sums)
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
        self.values = inputs[0].reshape(as_pictures(inputs[0].shape))
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
        dropout = draw(self.tail, step)
        self.growth = dropout.growth
        output, self.code = run(self.tail, self.values, Affine(scale=self.scale, shift=shift), dropout)
        return output if len(self.shape) == len(self.values.shape) else output.view(self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """Equations of the paper's section 3; of frozen statistics, a scale."""
        channels, window = self.shape[-1], self.tail.window
        arriving, values = begin_backward(self.tail, gradient, self.code, self.growth), bits(self.values)
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
        affine = Affine(scale=self.scale, shift=shift)
        backward(arriving, window, affine, linear, self.mean, values, bits(upstream), sums)
        return [upstream.view(self.shape)]
