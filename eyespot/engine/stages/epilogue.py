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
        kept, shape = passing.of(self), inputs[0].shape
        values = inputs[0].reshape(as_pictures(shape))
        dropout = draw(self.tail, passing.step)
        output, kept.code = run(self.tail, values, None, dropout)
        kept.shape, kept.picture_shape, kept.growth = shape, values.shape, dropout.growth
        return output if len(shape) == len(values.shape) else output.view(shape)

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """The gradients of the values and, summed over them, of the bias."""
        kept = passing.of(self)
        arriving = begin_backward(self.tail, gradient, kept.code, kept.growth)
        upstream = torch.empty(kept.picture_shape, dtype=gradient.dtype)
        sums = np.empty((CHUNKS, kept.picture_shape[-1]))
        backward(arriving, self.tail.window, None, None, None, None, bits(upstream), sums)
        if self.bias:
            passing.add(self.bias, torch.from_numpy(sums.sum(0).astype(np.float32)))
        return [upstream.view(kept.shape)]


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
    """What the backward pass begins with."""
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
        kept, shape = passing.of(self), inputs[0].shape
        kept.shape, kept.values = shape, inputs[0].reshape(as_pictures(shape))
        kept.by_batch = passing.step.training and self.layer.trainable
        moving_mean, moving_variance = (
            variable.value.detach().numpy() for variable in (self.layer.moving_mean, self.layer.moving_variance)
        )
        kept.mean, variance = moving_mean, moving_variance
        if kept.by_batch:
            kept.mean, variance = moments(bits(kept.values).reshape(-1, shape[-1]), CHUNKS)
            moving_mean += (kept.mean - moving_mean) * (1 - self.momentum)
            moving_variance += (variance - moving_variance) * (1 - self.momentum)
        kept.deviation = np.sqrt(variance + self.epsilon)
        kept.scale = (self.gamma.master.numpy() if self.gamma else f32(1)) / kept.deviation
        shift = (self.beta.master.numpy() if self.beta else f32(0)) - kept.mean * kept.scale
        dropout = draw(self.tail, passing.step)
        kept.growth = dropout.growth
        output, kept.code = run(self.tail, kept.values, Affine(scale=kept.scale, shift=shift), dropout)
        return output if len(shape) == len(kept.values.shape) else output.view(shape)

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """Equations of the paper's section 3; of frozen statistics, a scale."""
        kept, window = passing.of(self), self.tail.window
        channels = kept.shape[-1]
        arriving, values = begin_backward(self.tail, gradient, kept.code, kept.growth), bits(kept.values)
        sums, products = np.empty((2, CHUNKS, channels))
        affine_sums(arriving, window, values, kept.mean, sums, products)
        of_shift, of_distance = sums.sum(0).astype(np.float32), products.sum(0).astype(np.float32)
        if self.gamma:
            passing.add(self.gamma, torch.from_numpy(of_distance / kept.deviation))
        if self.beta:
            passing.add(self.beta, torch.from_numpy(of_shift))
        if not wanted:
            return [None]
        count = f32(values.size // channels if kept.by_batch else np.inf)
        linear = -kept.scale * of_distance / kept.deviation**2 / count
        shift = -kept.scale * of_shift / count
        upstream = torch.empty_like(kept.values)
        affine = Affine(scale=kept.scale, shift=shift)
        backward(arriving, window, affine, linear, kept.mean, values, bits(upstream), sums)
        return [upstream.view(kept.shape)]
