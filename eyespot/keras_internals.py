"""Every private name of Keras that eyespot uses, each with the reason; `tests/test_keras_internals.py` checks them.

Keras may move any of these in a new version. No other file uses a private name of Keras (`tests/test_layout.py`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eyespot.backend import keras

# Keras's own `train_step` calls it, so a model that replaces it has a training step of its own.
LOSS_METHOD = "_compute_loss"
# `fit` and `evaluate` call it first, with data that may not fit the model; `accelerate` puts a check around it.
SYMBOLIC_BUILD = "_symbolic_build"


def producer(tensor: keras.KerasTensor) -> tuple[keras.Operation, Any]:
    """Return the operation that gives a symbolic tensor, and Keras's record of the call.

    Keras has no public way from a tensor to its call; this is how its own `Function` walks a graph.
    """
    operation, index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[index]


def call_layers(model: keras.Model, value: keras.KerasTensor) -> keras.KerasTensor:
    """Call the layers of a Functional model with one input on a symbolic tensor, and return the output.

    The public `clone_model` walks a graph in the same way, and also compiles what it makes.
    """
    output: keras.KerasTensor = keras.tree.flatten(model._run_through_graph([value]))[0]
    return output


def mask_of(tensor: Any) -> Any:
    """Return the mask that layers have put on a tensor, or None: the engine refuses models that mask values."""
    return keras.src.backend.common.masking.get_keras_mask(tensor)


def clear_losses(layer: keras.Layer) -> None:
    """Remove what a layer's last call has added to the loss: outside a model's own step nothing else does."""
    layer._clear_losses()


@contextmanager
def default_device(device: str) -> Iterator[None]:
    """Within it, Keras makes tensors on that device wherever no `keras.device` holds.

    Where a layer cannot be traced on PyTorch's device `meta`, Keras tries it on the default device, with memory.
    """
    backend = keras.src.backend.torch
    core = backend.ops.core if hasattr(backend, "ops") else backend.core  # from Keras 3.16 on, and before
    previous = core.DEFAULT_DEVICE
    core.DEFAULT_DEVICE = device
    try:
        yield
    finally:
        core.DEFAULT_DEVICE = previous


def compiled_loss(model: keras.Model) -> Any:
    """Return the object that `compile` makes of the loss, or None; a new one shows that a model was compiled again."""
    return model._compile_loss


def has_loss_weights(model: keras.Model) -> bool:
    """Return whether `compile` was given `loss_weights`, which the fused loss does not know."""
    return model._compile_loss._user_loss_weights is not None


def loss_metric(model: keras.Model) -> keras.metrics.Mean:
    """Return the mean behind `loss` in the logs, which an accelerated step updates in Keras's place."""
    return model._loss_tracker


def compiled_metrics(model: keras.Model) -> Any:
    """Return the object that `compile` makes of the metrics, or None; an accelerated step adds to its metrics."""
    return model._compile_metrics


def has_weighted_metrics(model: keras.Model) -> bool:
    """Return whether `compile` was given `weighted_metrics`, which an accelerated step leaves to Keras."""
    return bool(model._compile_metrics._user_weighted_metrics)


def symbolic_build(model: keras.Model, iterator: Any, data_batch: Any) -> None:
    """Run Keras's own `_symbolic_build`, past what `accelerate` has put in its place."""
    type(model)._symbolic_build(model, iterator=iterator, data_batch=data_batch)


def slot_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Return the index of a variable's slots in an optimizer's lists of them.

    The fused optimizers update Keras's own slots, so that Keras can save the optimizer, or take over from them.

    Raises:
        KeyError: the optimizer was built without the variable.
    """
    index: int = optimizer._get_variable_index(variable)
    return index


def has_slots(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Return whether an optimizer was built with a variable; where not, Keras raises the error."""
    try:
        slot_index(optimizer, variable)
    except KeyError:
        return False
    return True


def first_moments(optimizer: keras.optimizers.Optimizer) -> Sequence[keras.Variable]:
    """Return the slots of Adam's means of gradients, and of RMSprop's momentum, for the fused optimizers."""
    slots: Sequence[keras.Variable] = optimizer._momentums
    return slots


def second_moments(optimizer: keras.optimizers.Optimizer) -> Sequence[keras.Variable]:
    """Return the slots of Adam's and RMSprop's means of squared gradients, for the fused optimizers."""
    slots: Sequence[keras.Variable] = optimizer._velocities
    return slots


def weight_averages(optimizer: keras.optimizers.Optimizer) -> Sequence[keras.Variable]:
    """Return the averages of the weights that an optimizer with `use_ema` keeps, for the fused optimizers."""
    averages: Sequence[keras.Variable] = optimizer._model_variables_moving_average
    return averages


def decays_weight(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Return whether a built optimizer decays one of its variables; the fused optimizers decay all of them or none."""
    decays: bool = optimizer._use_weight_decay(variable)
    return decays
