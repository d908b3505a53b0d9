"""All weights of a model as one vector: an update, or a copy, is then one pass over memory."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.kernels import Kernels
from eyespot.engine.stage import Parameter
from eyespot.keras_internals import slot_index
from eyespot.torch_internals import copy_all

ALIGNED = 32  # elements: every variable, and its copy in two bytes an element, begins at a line of the cache
UpdateStep = Callable[[], None]  # one update of all weights


class OptimizerState:
    """Vectors that an update goes over, each of all parameters end to end, in the memory of Keras's variables.

    Attributes:
        weights, gradient: float32.
        copy: the weights in the dtype of the computation; empty where that is float32.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        self.variables = [parameter.variable for parameter in parameters]
        self.weights = as_one_vector(self.variables)
        self.gradient = torch.zeros_like(self.weights)
        self._gradients = views_of(self.gradient, self.variables)
        dtypes = {parameter.dtype for parameter in parameters} - {torch.float32}
        self.copy = self.weights.to(dtypes.pop()) if dtypes else torch.empty(0, device=self.weights.device)
        copies = views_of(self.copy, self.variables) if len(self.copy) else [None] * len(parameters)
        for parameter, copy in zip(parameters, copies, strict=True):
            parameter.moved(copy)

    def slots(self, slots: Sequence[keras.Variable]) -> Tensor:
        """The optimizer may have been built for other variables too, which are frozen now."""
        return as_one_vector([slots[slot_index(self.optimizer, variable)] for variable in self.variables])

    def gather(self, gradients: Mapping[Parameter, Tensor]) -> None:
        """Every parameter's gradient into the vector."""
        copy_all(self._gradients, [gradients[parameter] for parameter in self.parameters])


UpdateRule = Callable[[keras.optimizers.Optimizer, OptimizerState, Kernels | None], UpdateStep]


def as_one_vector(variables: Sequence[keras.Variable]) -> Tensor:
    """A float32 vector whose memory is the variables' own: they are moved there, unless that is where they are.

    Between one's end and the next one's beginning are zeros.
    """
    starts = offsets(variables)
    if _lie(variables, starts):
        return variables[0].value.detach().as_strided((starts[-1],), (1,))
    vector = torch.zeros(starts[-1], device=variables[0].value.device)
    for variable, piece in zip(variables, views_of(vector, variables), strict=True):
        piece.copy_(variable.value.detach())
        variable.value.data = piece
    return vector


def offsets(variables: Sequence[keras.Variable]) -> list[int]:
    """Start of each variable in a vector of all of them, and at last the vector's length."""
    starts = [0]
    for variable in variables:
        starts.append(starts[-1] + -(-variable.value.numel() // ALIGNED) * ALIGNED)
    return starts


def _lie(variables: Sequence[keras.Variable], starts: list[int]) -> bool:
    first = variables[0].value
    storage = first.untyped_storage()
    size = first.element_size()
    if storage.nbytes() - size * first.storage_offset() < size * starts[-1]:
        return False
    return all(
        variable.value.untyped_storage().data_ptr() == storage.data_ptr()
        and variable.value.storage_offset() == first.storage_offset() + start
        and variable.value.is_contiguous()
        for variable, start in zip(variables, starts, strict=False)
    )


def views_of(vector: Tensor, variables: Sequence[keras.Variable]) -> list[Tensor]:
    """The vector's part for each variable, in its shape."""
    shapes = [variable.value.shape for variable in variables]
    starts = offsets(variables)
    return [vector[start : start + shape.numel()].view(shape) for start, shape in zip(starts, shapes, strict=False)]
