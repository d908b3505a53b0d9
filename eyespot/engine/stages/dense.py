"""Dense layers, without their activation."""

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameters, Pass


class DenseStage:
    """x @ kernel + bias, over the last axis."""

    how = "matrix product"

    def __init__(self, layer: keras.layers.Dense, parameters: Parameters) -> None:
        self.kernel = parameters.of(layer.kernel)
        self.bias = parameters.of(layer.bias) if layer.use_bias else None
        self.parameters = [parameter for parameter in (self.kernel, self.bias) if parameter]
        self.sums_bias = True  # unless a fused stage behind it does

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """[..., features] to [..., units]."""
        kept = passing.of(self)
        kept.rows = rows = inputs[0].reshape(-1, inputs[0].shape[-1])
        kept.shape = inputs[0].shape
        if self.bias is None:
            output = rows @ self.kernel.value
        else:
            output = torch.addmm(self.bias.value, rows, self.kernel.value)
        return output.view(*kept.shape[:-1], -1)

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """Two matrix products and a sum."""
        kept = passing.of(self)
        rows = gradient.reshape(len(kept.rows), -1)
        passing.add(self.kernel, kept.rows.t() @ rows)
        if self.bias and self.sums_bias:
            passing.add(self.bias, rows.sum(0))
        return [(rows @ self.kernel.value.t()).view(kept.shape) if wanted else None]
