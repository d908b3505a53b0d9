"""Keras's optimizers as fused updates, with Keras's own rules, defaults and slot variables."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.stage import Parameter

Update = Callable[[], None]


def update_for(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> tuple[Update, str]:
    """A function that applies the parameters' gradients, and what it runs on, for people.

    Adam, AdamW, SGD and RMSprop are fused; any other, and any that clips gradients, averages weights or decays only
    some of them, is Keras's own object. The optimizer's slots and its step count are the ones that are updated, so it
    can be saved, or go on without the engine.
    """
    optimizer.build([parameter.variable for parameter in parameters])
    kind = type(optimizer)
    usual = not any(p.variable.constraint or p.variable.overwrite_with_gradient for p in parameters)
    # A layer that learns again without `compile` has no slots; Keras says so.
    usual = usual and all(optimizer._var_key(p.variable) in optimizer._trainable_variables_indices for p in parameters)
    if kind in FUSED and usual and _is_plain(optimizer):
        return FUSED[kind](optimizer, parameters), "fused"
    return _by_keras(optimizer, parameters), "Keras"


def _is_plain(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether it does nothing besides its update rule and decay of all weights."""
    extras = ("clipnorm", "clipvalue", "global_clipnorm", "use_ema", "gradient_accumulation_steps", "loss_scale_factor")
    partial = getattr(optimizer, "_exclude_from_weight_decay", None) or getattr(
        optimizer, "_exclude_from_weight_decay_pattern", None
    )
    unusual = getattr(optimizer, "amsgrad", False) or getattr(optimizer, "centered", False)
    return not any(getattr(optimizer, name, None) for name in extras) and not partial and not unusual


def _by_keras(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> Update:
    def update() -> None:
        gradients = [parameter.gradient for parameter in parameters]
        with torch.no_grad():
            optimizer.apply(gradients, [parameter.variable for parameter in parameters])

    return update


def _adam(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> Update:
    """Adam and AdamW: Kingma and Ba 2014 (arXiv:1412.6980), Loshchilov and Hutter 2017 (arXiv:1711.05101).

    Keras adds epsilon to the root of the uncorrected second moment, PyTorch to that of the corrected one: the same,
    with PyTorch's epsilon divided by the root of the correction.
    """
    masters = [parameter.master for parameter in parameters]
    first, second = (_slots(optimizer, slots, parameters) for slots in (optimizer._momentums, optimizer._velocities))
    steps = [torch.tensor(0.0) for _ in parameters]
    decay = float(optimizer.weight_decay or 0)
    fused = torch._fused_adamw_ if decay else torch._fused_adam_

    def update() -> None:
        step = int(optimizer.iterations.value) + 1
        for count in steps:
            count.fill_(step)
        correction = math.sqrt(1 - optimizer.beta_2**step)
        fused(
            masters, _gradients(parameters), first, second, [], steps, amsgrad=False, maximize=False,
            lr=float(optimizer.learning_rate), beta1=optimizer.beta_1, beta2=optimizer.beta_2,
            weight_decay=decay, eps=optimizer.epsilon / correction,
        )  # fmt: skip
        optimizer.iterations.value.add_(1)

    return update


def _sgd(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> Update:
    """Gradient descent, with momentum, plain or Nesterov's."""
    masters = [parameter.master for parameter in parameters]
    velocities = _slots(optimizer, optimizer.momentums, parameters) if optimizer.momentum else []

    def update() -> None:
        rate, momentum = float(optimizer.learning_rate), optimizer.momentum
        _decay(optimizer, masters, rate)
        gradients = _gradients(parameters)
        if not momentum:
            torch._foreach_add_(masters, gradients, alpha=-rate)
        else:
            torch._foreach_mul_(velocities, momentum)
            torch._foreach_add_(velocities, gradients, alpha=-rate)
            if optimizer.nesterov:
                torch._foreach_add_(masters, velocities, alpha=momentum)
                torch._foreach_add_(masters, gradients, alpha=-rate)
            else:
                torch._foreach_add_(masters, velocities)
        optimizer.iterations.value.add_(1)

    return update


def _rmsprop(optimizer: keras.optimizers.Optimizer, parameters: Sequence[Parameter]) -> Update:
    """RMSprop: Tieleman and Hinton 2012, with Keras's epsilon under the root."""
    masters = [parameter.master for parameter in parameters]
    squares = _slots(optimizer, optimizer._velocities, parameters)
    momenta = _slots(optimizer, optimizer._momentums, parameters) if optimizer.momentum else []

    def update() -> None:
        rate = float(optimizer.learning_rate)
        _decay(optimizer, masters, rate)
        gradients = _gradients(parameters)
        torch._foreach_mul_(squares, optimizer.rho)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - optimizer.rho)
        roots = torch._foreach_add(squares, optimizer.epsilon)
        torch._foreach_sqrt_(roots)
        if momenta:
            torch._foreach_mul_(momenta, optimizer.momentum)
            torch._foreach_addcdiv_(momenta, gradients, roots, rate)
            torch._foreach_sub_(masters, momenta)
        else:
            torch._foreach_addcdiv_(masters, gradients, roots, -rate)
        optimizer.iterations.value.add_(1)

    return update


def _decay(optimizer: keras.optimizers.Optimizer, masters: list[Tensor], rate: float) -> None:
    """Decoupled weight decay, before the update, as Keras has it."""
    if optimizer.weight_decay:
        torch._foreach_mul_(masters, 1 - rate * optimizer.weight_decay)


def _slots(
    optimizer: keras.optimizers.Optimizer, slots: Sequence[keras.Variable], parameters: Sequence[Parameter]
) -> list[Tensor]:
    """Each parameter's slot: the optimizer may have been built for other variables too, which are frozen now."""
    return [slots[optimizer._get_variable_index(parameter.variable)].value.detach() for parameter in parameters]


def _gradients(parameters: Sequence[Parameter]) -> list[Tensor]:
    """In the dtype and the order of memory of the masters, which the fused updates go through from end to end."""
    return [
        torch.zeros_like(parameter.master)
        if parameter.gradient is None
        else parameter.gradient.to(parameter.master.dtype).contiguous()
        for parameter in parameters
    ]


# By the classes that instances have: Keras puts its backend's own subclass in an optimizer's place.
FUSED: dict[type, Callable[[keras.optimizers.Optimizer, Sequence[Parameter]], Update]] = {
    type(keras.optimizers.Adam()): _adam,
    type(keras.optimizers.AdamW()): _adam,
    type(keras.optimizers.SGD()): _sgd,
    type(keras.optimizers.RMSprop()): _rmsprop,
}
