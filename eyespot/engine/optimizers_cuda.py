"""Keras's optimizers as fused updates on a GPU, which read the learning rate and the step count where they lie."""

import math

from torch import Tensor
from triton import cdiv

from eyespot.backend import keras
from eyespot.engine.kernels import Kernels
from eyespot.engine.kernels.cuda import updates
from eyespot.engine.weights import OptimizerState, UpdateRule, UpdateStep
from eyespot.keras_internals import first_moments, second_moments


def _adam(optimizer: keras.optimizers.Optimizer, state: OptimizerState, _kernels: Kernels | None) -> UpdateStep:
    slots = state.slots(first_moments(optimizer)), state.slots(second_moments(optimizer))
    logarithms = {"LOG_BETA_1": math.log(optimizer.beta_1), "LOG_BETA_2": math.log(optimizer.beta_2)}

    def step() -> None:
        total = state.weights.numel()
        updates.adam[cdiv(total, updates.BLOCK),](
            state.weights, state.gradient, state.copy, *slots, _rate(optimizer), optimizer.iterations.value, total,
            _decay(optimizer), optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, **logarithms, **_settings(state),
        )  # fmt: skip

    return step


def _sgd(optimizer: keras.optimizers.Optimizer, state: OptimizerState, _kernels: Kernels | None) -> UpdateStep:
    momentum = float(optimizer.momentum or 0)
    velocities = state.slots(optimizer.momentums) if momentum else state.gradient  # not read

    def step() -> None:
        total = state.weights.numel()
        updates.sgd[cdiv(total, updates.BLOCK),](
            state.weights, state.gradient, state.copy, velocities, _rate(optimizer), total, _decay(optimizer), momentum,
            HAS_MOMENTUM=momentum != 0, NESTEROV=bool(optimizer.nesterov), **_settings(state),
        )  # fmt: skip

    return step


def _rmsprop(optimizer: keras.optimizers.Optimizer, state: OptimizerState, _kernels: Kernels | None) -> UpdateStep:
    squares, momentum = state.slots(second_moments(optimizer)), float(optimizer.momentum or 0)
    velocities = state.slots(first_moments(optimizer)) if momentum else state.gradient  # not read

    def step() -> None:
        total = state.weights.numel()
        updates.rmsprop[cdiv(total, updates.BLOCK),](
            state.weights, state.gradient, state.copy, squares, velocities, _rate(optimizer), total,
            _decay(optimizer), optimizer.rho, optimizer.epsilon, momentum, HAS_MOMENTUM=momentum != 0,
            **_settings(state),
        )  # fmt: skip

    return step


RULES: dict[str, UpdateRule] = {"adam": _adam, "sgd": _sgd, "rmsprop": _rmsprop}


def _rate(optimizer: keras.optimizers.Optimizer) -> Tensor:
    rate: Tensor = keras.ops.convert_to_tensor(optimizer.learning_rate, "float32")
    return rate.detach()


def _decay(optimizer: keras.optimizers.Optimizer) -> float:
    return float(optimizer.weight_decay or 0)


def _settings(state: OptimizerState) -> dict[str, int | bool]:
    return {"COPIES": len(state.copy) > 0, "BLOCK": updates.BLOCK}
