"""All weights as one vector: an update, or a copy, is then one pass over memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

from eyespot.backend import keras

ALIGNED = 32  # elements: every variable, and its copy in two bytes an element, begins at a line of the cache


def places(variables: Sequence[keras.Variable]) -> list[int]:
    """Where each variable begins in a vector of all of them, and at last the vector's length."""
    found = [0]
    for variable in variables:
        found.append(found[-1] + -(-variable.value.numel() // ALIGNED) * ALIGNED)
    return found


def end_to_end(variables: Sequence[keras.Variable]) -> Tensor:
    """A float32 vector whose memory is the variables' own: they are moved there, unless that is where they are.

    Between one's end and the next one's beginning are zeros.
    """
    starts = places(variables)
    if _lie(variables, starts):
        return variables[0].value.detach().as_strided((starts[-1],), (1,))
    vector = torch.zeros(starts[-1], device=variables[0].value.device)
    for variable, piece in zip(variables, pieces(vector, variables), strict=True):
        piece.copy_(variable.value.detach())
        variable.value.data = piece
    return vector


def pieces(vector: Tensor, variables: Sequence[keras.Variable]) -> list[Tensor]:
    """The vector's part for each variable, in its shape."""
    shapes = [variable.value.shape for variable in variables]
    starts = places(variables)
    return [vector[start : start + shape.numel()].view(shape) for start, shape in zip(starts, shapes, strict=False)]


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
