"""Any other layer, run by Keras as it is and differentiated by PyTorch."""

import torch
from torch import Tensor

from eyespot.engine.stage import Parameters, Step
from eyespot.models.graph import Call


class KerasStage:
    """A layer the lowering does not know."""

    how = "Keras"

    def __init__(self, call: Call, parameters: Parameters) -> None:
        self.call, self.dtype = call, parameters.dtype
        variables = getattr(call.layer, "trainable_variables", [])
        self.parameters = [parameters.of(variable, torch.float32) for variable in variables]

    def forward(self, inputs: list[Tensor], step: Step) -> Tensor:
        """Any shape; computed in float32, or in integers where those come in."""
        self.inputs = [
            value.detach().float().requires_grad_(step.training) if value.is_floating_point() else value
            for value in inputs
        ]
        with torch.set_grad_enabled(step.training):
            self.output = self.call.run(self.inputs, training=step.training)
        output = self.output.detach()
        return (output.to(self.dtype) if output.is_floating_point() else output).contiguous()

    def backward(self, gradient: Tensor, *, wanted: bool) -> list[Tensor | None]:
        """PyTorch's."""
        if not self.output.requires_grad:  # nothing flows back through rounding, comparisons and the like
            return [None] * len(self.inputs)
        values = [value for value in self.inputs if value.requires_grad] if wanted else []
        tensors = [*values, *(parameter.variable.value for parameter in self.parameters)]
        found = torch.autograd.grad(self.output, tensors, gradient.to(self.output.dtype), allow_unused=True)
        for parameter, of_parameter in zip(self.parameters, found[len(values) :], strict=True):
            if of_parameter is not None:
                parameter.add(of_parameter)
        upstream = iter(found[: len(values)])
        return [self._arriving(next(upstream)) if wanted and value.requires_grad else None for value in self.inputs]

    def _arriving(self, gradient: Tensor | None) -> Tensor | None:
        return None if gradient is None else gradient.to(self.dtype).contiguous()
