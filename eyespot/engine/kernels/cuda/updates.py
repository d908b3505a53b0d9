"""The optimizers' updates of all weights at once, and the copy to compute with; see `cpu/updates.py`.

What changes from step to step, the learning rate and the number of updates made, is read from the GPU's own memory, so
that the host has nothing to wait for.
"""

import triton
import triton.language as tl

BLOCK = 1024


@triton.jit
def _stored(weights, copy, here, inside, weight, COPIES: tl.constexpr):
    tl.store(weights + here, weight, mask=inside)
    if COPIES:
        tl.store(copy + here, weight.to(copy.dtype.element_ty), mask=inside)


@triton.jit
def adam(
    weights, gradient, copy, first, second, rate, made, total, decay, beta_1, beta_2, epsilon,
    LOG_BETA_1: tl.constexpr, LOG_BETA_2: tl.constexpr, COPIES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Kingma and Ba 2014 (arXiv:1412.6980), Loshchilov and Hutter 2017 (arXiv:1711.05101).

    Args:
        rate: float32 [1], uncorrected; `made`: updates made before this one, an integer [1].
        decay: the share of the weights that goes, for a rate of 1.
        LOG_BETA_1, LOG_BETA_2: natural logarithms; powers of the betas are taken in float64.
    """
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = here < total
    number = (tl.load(made) + 1).to(tl.float64)
    correction = tl.sqrt(1.0 - tl.exp(number * LOG_BETA_2)) / (1.0 - tl.exp(number * LOG_BETA_1))
    plain = tl.load(rate)
    corrected = plain * correction.to(tl.float32)
    slope = tl.load(gradient + here, mask=inside, other=0.0)
    mean = tl.load(first + here, mask=inside, other=0.0)
    square = tl.load(second + here, mask=inside, other=0.0)
    weight = tl.load(weights + here, mask=inside, other=0.0)
    mean += (slope - mean) * (1.0 - beta_1)
    square += (slope * slope - square) * (1.0 - beta_2)
    weight -= weight * (plain * decay) + corrected * mean / (tl.sqrt(square) + epsilon)
    tl.store(first + here, mean, mask=inside)
    tl.store(second + here, square, mask=inside)
    _stored(weights, copy, here, inside, weight, COPIES)


@triton.jit
def rmsprop(
    weights, gradient, copy, squares, velocities, rate, total, decay, rho, epsilon, momentum,
    HAS_MOMENTUM: tl.constexpr, COPIES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Tieleman and Hinton 2012; epsilon under the root."""
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = here < total
    plain = tl.load(rate)
    slope = tl.load(gradient + here, mask=inside, other=0.0)
    square = tl.load(squares + here, mask=inside, other=0.0)
    weight = tl.load(weights + here, mask=inside, other=0.0)
    square = rho * square + (1.0 - rho) * slope * slope
    move = plain * slope / tl.sqrt(square + epsilon)
    tl.store(squares + here, square, mask=inside)
    if HAS_MOMENTUM:
        move += tl.load(velocities + here, mask=inside, other=0.0) * momentum
        tl.store(velocities + here, move, mask=inside)
    _stored(weights, copy, here, inside, weight - weight * (plain * decay) - move, COPIES)


@triton.jit
def sgd(
    weights, gradient, copy, velocities, rate, total, decay, momentum,
    HAS_MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr, COPIES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient descent, with momentum, plain or Nesterov's, as Keras has them."""
    here = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = here < total
    plain = tl.load(rate)
    move = -plain * tl.load(gradient + here, mask=inside, other=0.0)
    weight = tl.load(weights + here, mask=inside, other=0.0)
    weight -= weight * (plain * decay)
    if HAS_MOMENTUM:
        velocity = tl.load(velocities + here, mask=inside, other=0.0) * momentum + move
        tl.store(velocities + here, velocity, mask=inside)
        move = velocity * momentum + move if NESTEROV else velocity
    _stored(weights, copy, here, inside, weight + move, COPIES)
