"""Keras's optimizers as fused updates, with Keras's own rules, defaults and slot variables."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.kernels import Kernels
from eyespot.engine.stage import Parameter
from eyespot.engine.weights import OptimizerState, UpdateRule, UpdateStep
from eyespot.keras_internals import decays_weight, first_moments, has_slots, second_moments, weight_averages
from eyespot.torch_internals import fused_adam, fused_adamw

Update = Callable[[Mapping[Parameter, Tensor]], None]
# By the classes that instances have: Keras puts its backend's own subclass in an optimizer's place.
FUSED = {
    type(keras.optimizers.Adam()): "adam",
    type(keras.optimizers.AdamW()): "adam",
    type(keras.optimizers.SGD()): "sgd",
    type(keras.optimizers.RMSprop()): "rmsprop",
}


def update_for(
    optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter], kernels: Kernels | None
) -> tuple[Update, str]:
    """A function that applies the parameters' gradients, and what it runs on, for people.

    Adam, AdamW, SGD and RMSprop are fused, with an average of the weights or without; any other, and any that clips
    gradients or decays only some weights, is Keras's own object. The optimizer's slots and its step count are the ones
    that are updated, so it can be saved, or go on without the engine.
    """
    optimizer.build([parameter.variable for parameter in parameters])
    name = FUSED.get(type(optimizer))
    is_fusible = _is_plain(optimizer) and all(_is_usual(optimizer, parameter.variable) for parameter in parameters)
    on_gpu = any(parameter.master.is_cuda for parameter in parameters)
    if name is None or not parameters or not is_fusible or (on_gpu and kernels != "cuda"):
        return _by_keras(optimizer, parameters), "Keras"
    rule = RULES[name]
    if kernels == "cuda":
        from eyespot.engine.optimizers_cuda import RULES as CUDA_RULES

        rule = CUDA_RULES[name]
    return _fused(optimizer, rule, parameters, kernels), "fused"


def _is_plain(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether it does nothing besides its update rule and decay of weights."""
    options = (
        "clipnorm", "clipvalue", "global_clipnorm", "ema_overwrite_frequency", "gradient_accumulation_steps",
        "loss_scale_factor",
    )  # fmt: skip
    unusual = getattr(optimizer, "amsgrad", False) or getattr(optimizer, "centered", False)
    return not any(getattr(optimizer, name, None) for name in options) and not unusual


def _is_usual(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Whether it is float32, unconstrained and decays, and the optimizer has slots for it.

    A layer that learns again without `compile` has none; Keras says so.
    """
    if not has_slots(optimizer, variable) or not decays_weight(optimizer, variable):
        return False
    return variable.dtype == "float32" and not (variable.constraint or variable.overwrite_with_gradient)


def _by_keras(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> Update:
    def update(gradients: Mapping[Parameter, Tensor]) -> None:
        with torch.no_grad():
            optimizer.apply(
                [gradients.get(parameter) for parameter in parameters], [parameter.variable for parameter in parameters]
            )

    return update


def _adam(optimizer: keras.optimizers.Optimizer, state: OptimizerState, kernels: Kernels | None) -> UpdateStep:
    """Adam and AdamW: Kingma and Ba 2014 (arXiv:1412.6980), Loshchilov and Hutter 2017 (arXiv:1711.05101)."""
    first, second = state.slots(first_moments(optimizer)), state.slots(second_moments(optimizer))
    decay, beta_1, beta_2 = float(optimizer.weight_decay or 0), optimizer.beta_1, optimizer.beta_2
    kernel, count = _kernel("adam", kernels), torch.tensor(0.0)
    fused = fused_adamw if decay else fused_adam

    def step() -> None:
        number, rate = int(optimizer.iterations.value) + 1, float(optimizer.learning_rate)
        correction = math.sqrt(1 - beta_2**number)
        if kernel:
            corrected = rate * correction / (1 - beta_1**number)
            kernel(state, (first, second), (corrected, rate * decay, beta_1, beta_2, optimizer.epsilon))
            return
        # Keras adds epsilon to the root of the uncorrected second moment, PyTorch to that of the corrected one.
        fused(
            [state.weights], [state.gradient], [first], [second], [], [count.fill_(number)], amsgrad=False,
            maximize=False, lr=rate, beta1=beta_1, beta2=beta_2, weight_decay=decay, eps=optimizer.epsilon / correction,
        )  # fmt: skip
        _renew(state)

    return step


def _sgd(optimizer: keras.optimizers.Optimizer, state: OptimizerState, _kernels: Kernels | None) -> UpdateStep:
    """Gradient descent, with momentum, plain or Nesterov's."""
    momentum = optimizer.momentum
    velocity = state.slots(optimizer.momentums) if momentum else torch.empty(0)

    def step() -> None:
        weights, gradient, rate = state.weights, state.gradient, float(optimizer.learning_rate)
        _decay(optimizer, weights, rate)
        if not momentum:
            weights.add_(gradient, alpha=-rate)
        else:
            velocity.mul_(momentum).add_(gradient, alpha=-rate)
            if optimizer.nesterov:
                weights.add_(velocity, alpha=momentum).add_(gradient, alpha=-rate)
            else:
                weights.add_(velocity)
        _renew(state)

    return step


def _rmsprop(optimizer: keras.optimizers.Optimizer, state: OptimizerState, kernels: Kernels | None) -> UpdateStep:
    """RMSprop: Tieleman and Hinton 2012, with Keras's epsilon under the root."""
    squares = state.slots(second_moments(optimizer))
    momentum = state.slots(first_moments(optimizer)) if optimizer.momentum else None
    kernel = None if optimizer.momentum else _kernel("rmsprop", kernels)

    def step() -> None:
        weights, gradient, rate = state.weights, state.gradient, float(optimizer.learning_rate)
        if kernel:
            decay = rate * float(optimizer.weight_decay or 0)
            kernel(state, (squares,), (rate, decay, optimizer.rho, optimizer.epsilon))
            return
        _decay(optimizer, weights, rate)
        squares.mul_(optimizer.rho).addcmul_(gradient, gradient, value=1 - optimizer.rho)
        root = squares.add(optimizer.epsilon).sqrt_()
        if momentum is None:
            weights.addcdiv_(gradient, root, value=-rate)
        else:
            weights.sub_(momentum.mul_(optimizer.momentum).addcdiv_(gradient, root, value=rate))
        _renew(state)

    return step


RULES: dict[str, UpdateRule] = {"adam": _adam, "sgd": _sgd, "rmsprop": _rmsprop}


def _kernel(
    name: str, kernels: Kernels | None
) -> Callable[[OptimizerState, tuple[Tensor, ...], tuple[float, ...]], None] | None:
    """A compiled update: it goes over the state and an optimizer's slots, with the rule's numbers, in one pass."""
    if kernels is None:
        return None
    from eyespot.engine.kernels.cpu import updates
    from eyespot.engine.kernels.cpu.numba_support import bits, f32

    kernel = getattr(updates, name)

    def update(state: OptimizerState, slots: tuple[Tensor, ...], numbers: tuple[float, ...]) -> None:
        vectors = (state.weights, state.gradient, *slots, state.copy)
        kernel(*(bits(vector) for vector in vectors), *(f32(number) for number in numbers))

    return update


def _renew(state: OptimizerState) -> None:
    if len(state.copy):
        state.copy.copy_(state.weights)


def _decay(optimizer: keras.optimizers.Optimizer, weights: Tensor, rate: float) -> None:
    """Decoupled weight decay, before the update, as Keras has it."""
    if optimizer.weight_decay:
        weights.mul_(1 - rate * optimizer.weight_decay)


def _fused(
    optimizer: keras.optimizers.Optimizer, rule: UpdateRule, parameters: Sequence[Parameter], kernels: Kernels | None
) -> Update:
    state = OptimizerState(optimizer, parameters)
    step = rule(optimizer, state, kernels)
    average = state.slots(weight_averages(optimizer)) if optimizer.use_ema else None
    by_keras, all_parameters = _by_keras(optimizer, parameters), set(parameters)

    def update(gradients: Mapping[Parameter, Tensor]) -> None:
        if not all_parameters <= gradients.keys():
            # What nothing flows back to stays as it is, with its slots and undecayed, as Keras has it.
            by_keras(gradients)
            return
        state.gather(gradients)
        step()
        if average is not None:
            # The first average is the weights themselves: a momentum of 0.
            has_started = (optimizer.iterations.value != 0).to(average.dtype)
            average.lerp_(state.weights, 1 - has_started * optimizer.ema_momentum)
        optimizer.iterations.value.add_(1)

    return update
