"""Bias, batch normalisation, maximum pool, leaky ReLU and dropout as one pass over memory (extra `fast`)."""

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.epilogue_spec import EpilogueSpec, as_pictures
from eyespot.engine.kernels.cpu.channel_moments import moments
from eyespot.engine.kernels.cpu.epilogue import Affine, Dropout, IncomingGradient, affine_sums, backward, forward
from eyespot.engine.kernels.cpu.numba_support import bits, f32, u32
from eyespot.engine.stage import Parameter, Parameters, Pass, PassContext

CHUNKS = 16  # partial sums: more than threads, so that these stay busy; few, so that adding them up costs nothing


class EpilogueStage:
    """A tail behind a convolution or a dense layer, or behind nothing.

    Args:
        bias: of the layer before; its gradient is summed here, where every value passes anyway.
    """

    def __init__(self, tail: EpilogueSpec, bias: Parameter | None) -> None:
        self.tail, self.bias = tail, bias
        self.parameters = [bias] if bias else []
        self.how = " + ".join([*(["bias"] if bias else []), *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        saved, shape = passing.of(self), inputs[0].shape
        values = inputs[0].reshape(as_pictures(shape))
        dropout = draw(self.tail, passing.step)
        output, saved.code = run(self.tail, values, None, dropout)
        saved.shape, saved.picture_shape, saved.growth = shape, values.shape, dropout.growth
        return output if len(shape) == len(values.shape) else output.view(shape)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        saved = passing.of(self)
        incoming = begin_backward(self.tail, gradient, saved.code, saved.growth)
        input_gradient = torch.empty(saved.picture_shape, dtype=gradient.dtype)
        sums = np.empty((CHUNKS, saved.picture_shape[-1]))
        backward(incoming, self.tail.window, None, None, None, None, bits(input_gradient), sums)
        if self.bias:
            passing.add(self.bias, torch.from_numpy(sums.sum(0).astype(np.float32)))
        return [input_gradient.view(saved.shape)]


def draw(tail: EpilogueSpec, step: PassContext) -> Dropout:
    """The dropout of a step."""
    if not step.training or not tail.rate:
        return Dropout(u32(0), f32(1), u32(0), u32(0))
    first, second = step.keys(tail.index)
    return Dropout(u32(tail.threshold), f32(tail.growth), u32(first), u32(second))


def run(tail: EpilogueSpec, values: Tensor, affine: Affine | None, dropout: Dropout) -> tuple[Tensor, np.ndarray]:
    """The output, [n, height', width', channels] in the dtype of the values, and its codes."""
    shape = tail.output_shape(values.shape)
    output, code = torch.empty(shape, dtype=values.dtype), np.empty(shape, np.uint8)
    forward(bits(values), affine, tail.window, f32(tail.slope), dropout, bits(output), code)
    return output, code


def begin_backward(tail: EpilogueSpec, gradient: Tensor, code: np.ndarray, growth: np.float32) -> IncomingGradient:
    """Arguments of the kernel that the backward pass begins with."""
    return IncomingGradient(bits(gradient.contiguous().view(code.shape)), code, f32(tail.slope), growth)


class NormalizedEpilogueStage:
    """Batch normalisation and a tail: Ioffe and Szegedy 2015 (arXiv:1502.03167).

    With batch statistics in training, moving averages otherwise. Statistics, scale and shift are float32.
    """

    def __init__(self, layer: keras.layers.BatchNormalization, tail: EpilogueSpec, parameters: Parameters) -> None:
        self.layer, self.tail = layer, tail
        self.gamma = parameters.of(layer.gamma, torch.float32) if layer.scale else None
        self.beta = parameters.of(layer.beta, torch.float32) if layer.center else None
        self.parameters = [parameter for parameter in (self.gamma, self.beta) if parameter]
        self.epsilon, self.momentum = f32(layer.epsilon), f32(layer.momentum)
        self.how = " + ".join(["batch normalisation", *tail.names]) + ", fused"

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[n, height, width, channels] to [n, height', width', channels]; any other shape keeps it."""
        saved, shape = passing.of(self), inputs[0].shape
        saved.shape, saved.values = shape, inputs[0].reshape(as_pictures(shape))
        saved.by_batch = passing.step.training and self.layer.trainable
        moving_mean, moving_variance = (
            variable.value.detach().numpy() for variable in (self.layer.moving_mean, self.layer.moving_variance)
        )
        saved.mean, variance = moving_mean, moving_variance
        if saved.by_batch:
            saved.mean, variance = moments(bits(saved.values).reshape(-1, shape[-1]), CHUNKS)
            moving_mean += (saved.mean - moving_mean) * (1 - self.momentum)
            moving_variance += (variance - moving_variance) * (1 - self.momentum)
        saved.deviation = np.sqrt(variance + self.epsilon)
        saved.scale = (self.gamma.master.numpy() if self.gamma else f32(1)) / saved.deviation
        shift = (self.beta.master.numpy() if self.beta else f32(0)) - saved.mean * saved.scale
        dropout = draw(self.tail, passing.step)
        saved.growth = dropout.growth
        output, saved.code = run(self.tail, saved.values, Affine(scale=saved.scale, shift=shift), dropout)
        return output if len(shape) == len(saved.values.shape) else output.view(shape)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """Equations of the paper's section 3; of frozen statistics, a scale."""
        saved, window = passing.of(self), self.tail.window
        channels = saved.shape[-1]
        incoming, values = begin_backward(self.tail, gradient, saved.code, saved.growth), bits(saved.values)
        sums, products = np.empty((2, CHUNKS, channels))
        affine_sums(incoming, window, values, saved.mean, sums, products)
        shift_gradient, distance_gradient = sums.sum(0).astype(np.float32), products.sum(0).astype(np.float32)
        if self.gamma:
            passing.add(self.gamma, torch.from_numpy(distance_gradient / saved.deviation))
        if self.beta:
            passing.add(self.beta, torch.from_numpy(shift_gradient))
        if not needs_input_gradient:
            return [None]
        count = f32(values.size // channels if saved.by_batch else np.inf)
        linear = -saved.scale * distance_gradient / saved.deviation**2 / count
        shift = -saved.scale * shift_gradient / count
        input_gradient = torch.empty_like(saved.values)
        affine = Affine(scale=saved.scale, shift=shift)
        backward(incoming, window, affine, linear, saved.mean, values, bits(input_gradient), sums)
        return [input_gradient.view(saved.shape)]
