"""Batch normalisation over the last axis: Ioffe and Szegedy 2015 (arXiv:1502.03167)."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Step

aten = torch.ops.aten


class BatchNormalizationStage:
    """BatchNormalization, training (batch statistics, moving averages renewed) or frozen.

    Statistics, scale and shift are float32 whatever the dtype of the values. Keras keeps the batch's own (biased)
    variance in its moving average, PyTorch the unbiased one, so the averages are renewed here.
    """

    how = "batch normalisation"

    def __init__(self, layer: keras.layers.BatchNormalization, parameters: Parameters) -> None:
        self.gamma = parameters.of(layer.gamma, torch.float32) if layer.scale else None
        self.beta = parameters.of(layer.beta, torch.float32) if layer.center else None
        self.parameters = [parameter for parameter in (self.gamma, self.beta) if parameter]
        self.mean: Tensor = layer.moving_mean.value.detach()
        self.variance: Tensor = layer.moving_variance.value.detach()
        self.layer, self.epsilon, self.momentum = layer, float(layer.epsilon), float(layer.momentum)

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """Any shape; each feature of the last axis is brought to mean beta and deviation gamma."""
        self.values = _channels_second(inputs[0])
        self.shape = inputs[0].shape
        self.batch_statistics = step.training and self.layer.trainable
        gamma, beta = (parameter.value if parameter else None for parameter in (self.gamma, self.beta))
        output, self.batch_mean, self.batch_scale = aten.native_batch_norm(
            self.values, gamma, beta,
            None if self.batch_statistics else self.mean, None if self.batch_statistics else self.variance,
            self.batch_statistics, 0.0, self.epsilon,
        )  # fmt: skip
        if self.batch_statistics:
            variance = self.batch_scale.pow(-2) - self.epsilon
            self.mean.lerp_(self.batch_mean, 1 - self.momentum)
            self.variance.lerp_(variance, 1 - self.momentum)
        return _channels_last(output, self.shape)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """PyTorch's own gradients; of frozen statistics, a scale."""
        masks = [wanted, self.gamma is not None, self.beta is not None]
        gamma = self.gamma.value if self.gamma else None
        upstream, of_gamma, of_beta = aten.native_batch_norm_backward(
            _channels_second(gradient), self.values, gamma, self.mean, self.variance,
            self.batch_mean, self.batch_scale, self.batch_statistics, self.epsilon, masks,
        )  # fmt: skip
        if self.gamma:
            self.gamma.add(of_gamma)
        if self.beta:
            self.beta.add(of_beta)
        return [_channels_last(upstream, self.shape) if wanted else None]


def _channels_second(values: Tensor) -> Tensor:
    """Pictures as PyTorch has them, in the same memory; anything else as rows of features."""
    return values.permute(0, 3, 1, 2) if values.dim() == 4 else values.reshape(-1, values.shape[-1])  # noqa: PLR2004


def _channels_last(values: Tensor, shape: torch.Size) -> Tensor:
    return values.permute(0, 2, 3, 1).contiguous() if len(shape) == 4 else values.view(shape)  # noqa: PLR2004
