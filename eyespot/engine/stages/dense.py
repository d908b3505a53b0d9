"""Dense layers, without their activation."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Step


class DenseStage:
    """x @ kernel + bias, over the last axis."""

    how = "matrix product"

    def __init__(self, layer: keras.layers.Dense, parameters: Parameters) -> None:
        self.kernel = parameters.of(layer.kernel)
        self.bias = parameters.of(layer.bias) if layer.use_bias else None
        self.parameters = [parameter for parameter in (self.kernel, self.bias) if parameter]
        self.sums_bias = True  # unless a fused stage behind it does

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """[..., features] to [..., units]."""
        self.rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        self.shape = inputs[0].shape
        if self.bias is None:
            output = self.rows @ self.kernel.value
        else:
            output = torch.addmm(self.bias.value, self.rows, self.kernel.value)
        return output.view(*self.shape[:-1], -1)

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """Two matrix products and a sum."""
        rows = gradient.reshape(len(self.rows), -1)
        self.kernel.add(self.rows.t() @ rows)
        if self.bias and self.sums_bias:
            self.bias.add(rows.sum(0))
        return [(rows @ self.kernel.value.t()).view(self.shape) if wanted else None]
