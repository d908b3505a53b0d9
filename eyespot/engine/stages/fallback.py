"""Any other layer, run by Keras as it is and differentiated by PyTorch."""

import torch
from torch import Tensor

from eyespot.engine.stage import Parameters, Pass
from eyespot.keras_internals import clear_losses
from eyespot.models.graph import Call


class KerasStage:
    """A layer the lowering does not know, with what it adds to the loss."""

    how = "Keras"

    def __init__(self, call: Call, parameters: Parameters) -> None:
        self.call, self.dtype = call, parameters.dtype
        variables = getattr(call.layer, "trainable_variables", [])
        self.parameters = [parameters.of(variable, torch.float32) for variable in variables]

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """Any shape; computed in float32, or in integers where those come in."""
        saved, training = passing.of(self), passing.step.training
        saved.inputs = [
            value.detach().float().requires_grad_(training) if value.is_floating_point() else value for value in inputs
        ]
        with torch.set_grad_enabled(training):
            saved.output = self.call.run(saved.inputs, training=training)
            saved.loss = self._added()
        output: Tensor = saved.output.detach()
        output = (output.to(self.dtype) if output.is_floating_point() else output).contiguous()
        if saved.loss is not None:
            passing.charge(self, saved.loss, output)
        return output

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """Gradients of PyTorch's autograd."""
        saved = passing.of(self)
        pairs = [(saved.output, gradient.to(saved.output.dtype)), (saved.loss, None)]
        # Nothing flows back through rounding, comparisons and the like.
        pairs = [
            (result, result_gradient)
            for result, result_gradient in pairs
            if result is not None and result.requires_grad
        ]
        if not pairs:
            return [None] * len(saved.inputs)
        values = [value for value in saved.inputs if value.requires_grad] if needs_input_gradient else []
        tensors = [*values, *(parameter.variable.value for parameter in self.parameters)]
        outputs, gradients = zip(*pairs, strict=True)
        all_gradients = torch.autograd.grad(outputs, tensors, gradients, allow_unused=True)
        for parameter, parameter_gradient in zip(self.parameters, all_gradients[len(values) :], strict=True):
            if parameter_gradient is not None:
                passing.add(parameter, parameter_gradient)
        input_gradients = iter(all_gradients[: len(values)])
        return [
            self._arriving(next(input_gradients)) if needs_input_gradient and value.requires_grad else None
            for value in saved.inputs
        ]

    def _added(self) -> Tensor | None:
        """The sum of what the layer has added to the loss in this call; it is taken from the layer."""
        losses = getattr(self.call.layer, "losses", None)
        if not losses:
            return None
        clear_losses(self.call.layer)
        return torch.stack([loss.float().sum() for loss in losses]).sum()

    def _arriving(self, gradient: Tensor | None) -> Tensor | None:
        return None if gradient is None else gradient.to(self.dtype).contiguous()
