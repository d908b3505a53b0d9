"""Batch normalisation over the last axis: Ioffe and Szegedy 2015 (arXiv:1502.03167)."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Pass


class BatchNormalizationStage:
    """BatchNormalization, training (batch statistics, moving averages renewed) or frozen.

    Statistics, scale and shift are float32 whatever the dtype of the values. Written out rather than PyTorch's own:
    that adds up rows one by one where channels come last, and loses digits that the gradients of deep networks need.
    """

    how = "batch normalisation"

    def __init__(self, layer: keras.layers.BatchNormalization, parameters: Parameters) -> None:
        self.gamma = parameters.of(layer.gamma, torch.float32) if layer.scale else None
        self.beta = parameters.of(layer.beta, torch.float32) if layer.center else None
        self.parameters = [parameter for parameter in (self.gamma, self.beta) if parameter]
        self.layer, self.epsilon, self.momentum = layer, float(layer.epsilon), float(layer.momentum)

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape; each feature of the last axis is brought to mean beta and deviation gamma."""
        rows = inputs[0].reshape(-1, inputs[0].shape[-1]).float()
        saved = passing.of(self)
        saved.by_batch = passing.step.training and self.layer.trainable
        mean, variance = (v.value.detach() for v in (self.layer.moving_mean, self.layer.moving_variance))
        if saved.by_batch:
            # Keras keeps the batch's own (biased) variance in its moving average, PyTorch the unbiased one.
            batch_variance, batch_mean = torch.var_mean(rows, 0, correction=0)
            mean.lerp_(batch_mean, 1 - self.momentum)
            variance.lerp_(batch_variance, 1 - self.momentum)
            mean, variance = batch_mean, batch_variance
        saved.inverse = (variance + self.epsilon).rsqrt()
        saved.normalized = (rows - mean) * saved.inverse
        output = saved.normalized * self.gamma.value if self.gamma else saved.normalized
        output = output + self.beta.value if self.beta else output
        return output.to(inputs[0].dtype).view(inputs[0].shape)

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """Equations of the paper's section 3; of frozen statistics, a scale."""
        saved = passing.of(self)
        rows = gradient.reshape(saved.normalized.shape).float()
        beta_gradient, gamma_gradient = rows.sum(0), (rows * saved.normalized).sum(0)
        if self.gamma:
            passing.add(self.gamma, gamma_gradient)
        if self.beta:
            passing.add(self.beta, beta_gradient)
        if not needs_input_gradient:
            return [None]
        if saved.by_batch:
            rows = rows - (beta_gradient + saved.normalized * gamma_gradient) / len(rows)
        scale = saved.inverse * self.gamma.value if self.gamma else saved.inverse
        return [(rows * scale).to(gradient.dtype).view(gradient.shape)]
