"""What an optimizer's update goes over."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter
from eyespot.engine.vector import end_to_end, pieces


class State:
    """What an update goes over, each a vector of all parameters end to end, in the memory of Keras's variables.

    Attributes:
        weights, gradient: float32.
        copy: the weights in the dtype of the computation; empty where that is float32.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        self.variables = [parameter.variable for parameter in parameters]
        self.weights = end_to_end(self.variables)
        self.gradient = torch.zeros_like(self.weights)
        self._gradients = pieces(self.gradient, self.variables)
        dtypes = {parameter.dtype for parameter in parameters} - {torch.float32}
        self.copy = self.weights.to(dtypes.pop()) if dtypes else torch.empty(0, device=self.weights.device)
        copies = pieces(self.copy, self.variables) if len(self.copy) else [None] * len(parameters)
        for parameter, copy in zip(parameters, copies, strict=True):
            parameter.moved(copy)

    def slots(self, slots: Sequence[keras.Variable]) -> Tensor:
        """The optimizer may have been built for other variables too, which are frozen now."""
        return end_to_end([slots[self.optimizer._get_variable_index(variable)] for variable in self.variables])

    def gather(self, gradients: Mapping[Parameter, Tensor]) -> None:
        """Every parameter's gradient into the vector."""
        torch._foreach_copy_(self._gradients, [gradients[parameter] for parameter in self.parameters])
