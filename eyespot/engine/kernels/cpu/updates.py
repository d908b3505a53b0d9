"""The optimizers' updates of all weights at once, and the copy to compute with, in one pass over memory.

Weights, gradient and slots are float32 vectors [n]; `copy` [n], as stored, is written, or has length 0. Keras's own
rules. Elements are gone through in slices so short that the compiler proves each apart from the others.
"""

from typing import Any

import numpy as np
from numba import njit, prange

from eyespot.engine.kernels.cpu.numba_support import compiled, f32, write

SLICE = 64


@njit(inline="always")
def _copied(weight: Any, copy: Any, here: Any) -> None:
    if len(copy):
        copied = copy[here]
        for i in range(len(weight)):
            copied[i] = write(weight[i], copy)


@compiled
def adam(
    weights: Any, gradient: Any, first: Any, second: Any, copy: Any,
    rate: Any, decay: Any, beta_1: Any, beta_2: Any, epsilon: Any,
) -> None:  # fmt: skip
    """Kingma and Ba 2014 (arXiv:1412.6980), as at the end of their section 2: epsilon joins the uncorrected root.

    Args:
        rate: with the correction in it.
        decay: the share of the weights that goes (Loshchilov and Hutter 2017, arXiv:1711.05101).
    """
    for block in prange((len(weights) + SLICE - 1) // SLICE):
        here = slice(block * SLICE, min(len(weights), (block + 1) * SLICE))
        weight, slope, mean, square = weights[here], gradient[here], first[here], second[here]
        for i in range(len(weight)):
            mean[i] += (slope[i] - mean[i]) * (f32(1) - beta_1)
            square[i] += (slope[i] * slope[i] - square[i]) * (f32(1) - beta_2)
            weight[i] -= weight[i] * decay + rate * mean[i] / (np.sqrt(square[i]) + epsilon)
        _copied(weight, copy, here)


@compiled
def rmsprop(
    weights: Any, gradient: Any, squares: Any, copy: Any, rate: Any, decay: Any, rho: Any, epsilon: Any
) -> None:
    """Tieleman and Hinton 2012, without momentum; epsilon under the root."""
    for block in prange((len(weights) + SLICE - 1) // SLICE):
        here = slice(block * SLICE, min(len(weights), (block + 1) * SLICE))
        weight, slope, square = weights[here], gradient[here], squares[here]
        for i in range(len(weight)):
            square[i] = rho * square[i] + (f32(1) - rho) * slope[i] * slope[i]
            weight[i] -= weight[i] * decay + rate * slope[i] / np.sqrt(square[i] + epsilon)
        _copied(weight, copy, here)
