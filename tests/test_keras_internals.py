from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from eyespot import keras_internals as internals
from eyespot.backend import keras
from tests.private_names import private_names

PIXELS, LABELS = np.ones((2, 4, 4, 1), np.float32), np.array([0, 2])


def classifier(**settings: Any) -> keras.Model:
    pixels = keras.Input((4, 4, 1))
    model = keras.Model(pixels, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(pixels)))
    model.compile("adam", **{"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **settings})
    return model


@cache
def compiled() -> keras.Model:
    return classifier()


def updated(optimizer: keras.optimizers.Optimizer) -> keras.Variable:
    """A weight of 1 after an update by a gradient of 2."""
    weight = keras.Variable(np.ones(1, np.float32), name="kernel")
    optimizer.build([weight])
    with torch.no_grad():
        optimizer.apply([torch.full((1,), 2.0)], [weight])
    return weight


def of_slot(optimizer: keras.optimizers.Optimizer, slots: Any) -> float:
    weight = updated(optimizer)
    return float(slots(optimizer)[internals.slot_index(optimizer, weight)].value)


def producer_is_the_layer() -> bool:
    return internals.producer(compiled().outputs[0])[0] is compiled().layers[-1]


def record_has_inputs_and_arguments() -> bool:
    node = internals.producer(compiled().outputs[0])[1]
    (source,) = node.input_tensors
    args, _ = node.arguments.fill_in({id(source): PIXELS})
    return source is compiled().layers[-2].output and node.outputs == [compiled().outputs[0]] and args[0] is PIXELS


def layers_are_called_anew() -> bool:
    output = internals.call_layers(compiled(), keras.Input((4, 4, 1)))
    return output is not compiled().outputs[0] and internals.producer(output)[0] is compiled().layers[-1]


def mask_is_on_the_tensor() -> bool:
    values = keras.ops.zeros((1, 2, 3))
    return internals.mask_of(values) is None and internals.mask_of(keras.layers.Masking()(values)) is not None


def losses_are_cleared() -> bool:
    layer = keras.layers.ActivityRegularization(l1=1)
    layer(keras.ops.ones((1, 2)))
    had_losses = len(layer.losses) == 1
    internals.clear_losses(layer)
    return had_losses and not layer.losses


def device_is_the_default() -> bool:
    with internals.default_device("meta"):
        inside = keras.ops.zeros(()).device.type
    return inside == "meta" != keras.ops.zeros(()).device.type


def loss_object_is_new_after_compile() -> bool:
    model = classifier()
    first = internals.compiled_loss(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    return first is not None and internals.compiled_loss(model) not in (None, first)


def loss_weights_are_known() -> bool:
    return internals.has_loss_weights(classifier(loss_weights=[2.0])) and not internals.has_loss_weights(compiled())


def loss_is_a_mean() -> bool:
    model = classifier()
    loss = model.test_on_batch(PIXELS, LABELS, return_dict=True)["loss"]
    metric = internals.loss_metric(model)
    return metric is model.metrics[0] and float(metric.total.value / metric.count.value) == pytest.approx(float(loss))


def metrics_are_listed() -> bool:
    model = classifier()
    model.test_on_batch(PIXELS, LABELS)
    metrics = internals.compiled_metrics(model)
    return metrics.built and [metric.name for metric in metrics.metrics] == ["accuracy"] == list(metrics.result())


def weighted_metrics_are_known() -> bool:
    weighted = classifier(weighted_metrics=["accuracy"])
    return internals.has_weighted_metrics(weighted) and not internals.has_weighted_metrics(compiled())


def steps_call_the_loss_method() -> bool:
    def compute_loss(*_: Any, **__: Any) -> Any:
        return keras.ops.convert_to_tensor(7.0)

    model = type("OwnLoss", (keras.Sequential,), {internals.LOSS_METHOD: compute_loss})([keras.layers.Flatten()])
    model.compile(loss="mse")
    return model.test_on_batch(PIXELS, PIXELS, return_dict=True)["loss"] == 7


def fit_calls_symbolic_build() -> bool:
    model, calls = classifier(), []

    def replacement(iterator: Any = None, data_batch: Any = None) -> None:
        calls.append(1)
        internals.symbolic_build(model, iterator, data_batch)

    object.__setattr__(model, internals.SYMBOLIC_BUILD, replacement)
    model.fit(PIXELS, LABELS, verbose=0)
    return calls == [1]


def slots_are_in_the_order_of_build() -> bool:
    optimizer, weights = keras.optimizers.Adam(), [keras.Variable(np.ones(1)) for _ in range(3)]
    optimizer.build(weights[:2])
    indices = [internals.slot_index(optimizer, weight) for weight in weights[:2]]
    return indices == [0, 1] and [internals.has_slots(optimizer, weight) for weight in weights] == [True, True, False]


def averages_begin_with_the_weights() -> bool:
    optimizer = keras.optimizers.SGD(0.25, use_ema=True)
    return of_slot(optimizer, internals.weight_averages) == 0.5


def excluded_weights_do_not_decay() -> bool:
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    kernel, bias = (keras.Variable(np.ones(1), name=name) for name in ("kernel", "bias"))
    optimizer.build([kernel, bias])
    return internals.decays_weight(optimizer, kernel) and not internals.decays_weight(optimizer, bias)


optimizers = keras.optimizers
CHECKS: dict[str, tuple[str, Callable[[], bool]]] = {
    "KerasTensor._keras_history": ("`models.graph` needs to walk a model's graph", producer_is_the_layer),
    "Operation._inbound_nodes": ("`models.graph` needs to walk a model's graph", record_has_inputs_and_arguments),
    "Function._run_through_graph": ("`with_scaling` needs to put layers before a model's", layers_are_called_anew),
    "keras.src.backend.common.masking.get_keras_mask": (
        "the engine needs to refuse models that mask values", mask_is_on_the_tensor
    ),
    "Layer._clear_losses": ("`KerasStage` needs to count a layer's own losses once", losses_are_cleared),
    "keras.src.backend.torch.core.DEFAULT_DEVICE": (
        "`models.loading` needs to count a file's weights without memory", device_is_the_default
    ),
    "Trainer._compile_loss": ("`accelerate` needs to notice another `compile`", loss_object_is_new_after_compile),
    "CompileLoss._user_loss_weights": ("`accelerate` needs to leave weighted losses to Keras", loss_weights_are_known),
    "Trainer._loss_tracker": ("accelerated steps need to update the loss in the logs", loss_is_a_mean),
    "Trainer._compile_metrics": ("accelerated steps need to update the accuracy in the logs", metrics_are_listed),
    "CompileMetrics._user_weighted_metrics": (
        "accelerated steps need to leave weighted metrics to Keras", weighted_metrics_are_known
    ),
    "Trainer._compute_loss": ("the engine needs to refuse models with a step of their own", steps_call_the_loss_method),
    "Trainer._symbolic_build": ("`accelerate` needs to check the first batch", fit_calls_symbolic_build),
    "BaseOptimizer._get_variable_index": (
        "the fused optimizers need to find a weight's slots", slots_are_in_the_order_of_build
    ),
    "Adam._momentums": (
        "fused Adam needs to update",
        lambda: of_slot(optimizers.Adam(beta_1=0.75), internals.first_moments) == 0.5,
    ),
    "Adam._velocities": (
        "fused Adam needs to update",
        lambda: of_slot(optimizers.Adam(beta_2=0.75), internals.second_moments) == 1,
    ),
    "RMSprop._momentums": (
        "fused RMSprop needs to update",
        lambda: of_slot(optimizers.RMSprop(0.5, rho=0, momentum=0.5), internals.first_moments) == pytest.approx(0.5),
    ),
    "RMSprop._velocities": (
        "fused RMSprop needs to update",
        lambda: of_slot(optimizers.RMSprop(rho=0.75), internals.second_moments) == 1,
    ),
    "BaseOptimizer._model_variables_moving_average": (
        "fused optimizers with `use_ema` need to update", averages_begin_with_the_weights
    ),
    "BaseOptimizer._use_weight_decay": (
        "the fused optimizers need to leave partial decay to Keras", excluded_weights_do_not_decay
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_keras_has_not_moved(name: str):
    """Each private name of Keras that eyespot uses exists, and means what eyespot takes it for."""
    need, holds = CHECKS[name]
    moved = f"Keras {keras.__version__} has moved {name}, which {need}."
    try:
        is_there = holds()
    except (AttributeError, KeyError, TypeError, ValueError):
        pytest.fail(moved)  # with the error as its context
    assert is_there, moved


def test_every_private_name_of_keras_is_checked():
    """`keras_internals` uses no private name that this file does not check."""
    assert private_names(internals.__file__) == {name.rpartition(".")[2] for name in CHECKS if "._" in name} | {"src"}
