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
        kept, training = passing.of(self), passing.step.training
        kept.inputs = [
            value.detach().float().requires_grad_(training) if value.is_floating_point() else value for value in inputs
        ]
        with torch.set_grad_enabled(training):
            kept.output = self.call.run(kept.inputs, training=training)
            kept.loss = self._added()
        output: Tensor = kept.output.detach()
        output = (output.to(self.dtype) if output.is_floating_point() else output).contiguous()
        if kept.loss is not None:
            passing.charge(self, kept.loss, output)
        return output

    def backward(self, gradient: Tensor, passing: Pass, *, wanted: bool) -> list[Tensor | None]:
        """PyTorch's."""
        kept = passing.of(self)
        arrived = [(kept.output, gradient.to(kept.output.dtype)), (kept.loss, None)]
        # Nothing flows back through rounding, comparisons and the like.
        arrived = [(one, of_one) for one, of_one in arrived if one is not None and one.requires_grad]
        if not arrived:
            return [None] * len(kept.inputs)
        values = [value for value in kept.inputs if value.requires_grad] if wanted else []
        tensors = [*values, *(parameter.variable.value for parameter in self.parameters)]
        ends, gradients = zip(*arrived, strict=True)
        found = torch.autograd.grad(ends, tensors, gradients, allow_unused=True)
        for parameter, of_parameter in zip(self.parameters, found[len(values) :], strict=True):
            if of_parameter is not None:
                passing.add(parameter, of_parameter)
        upstream = iter(found[: len(values)])
        return [self._arriving(next(upstream)) if wanted and value.requires_grad else None for value in kept.inputs]

    def _added(self) -> Tensor | None:
        """The sum of what the layer has added to the loss in this call; it is taken from the layer."""
        losses = getattr(self.call.layer, "losses", None)
        if not losses:
            return None
        clear_losses(self.call.layer)
        return torch.stack([loss.float().sum() for loss in losses]).sum()

    def _arriving(self, gradient: Tensor | None) -> Tensor | None:
        return None if gradient is None else gradient.to(self.dtype).contiguous()
