"""The lowered program: training steps and inference over the stages, and a lock on the weights.

Any number of passes may read the weights at once, or one may change them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import Condition, RLock, local
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.fusion import fuse
from eyespot.engine.hardware import keep_freed_memory
from eyespot.engine.kernels import Kernels, kernels_for
from eyespot.engine.loss import LossOutput, Targets, cross_entropy
from eyespot.engine.lowering import lower
from eyespot.engine.optimizers import update_for
from eyespot.engine.stage import Parameters, Pass, PassContext
from eyespot.errors import ModelError
from eyespot.keras_internals import LOSS_METHOD, mask_of
from eyespot.models.graph import FUNCTIONAL, all_layers, ends_in_softmax, trace
from eyespot.random import seed_for
from eyespot.shapes import Int64, UInt8

# What a subclass, or an attribute of one model, may replace; the stages would then not do what the model does.
STEPS = ("train_step", "test_step", "predict_step", "compute_loss", LOSS_METHOD)
FUNCTIONS = ("make_train_function", "make_test_function", "make_predict_function", "__call__")


class LoweredProgram:
    """A classifier's stages, ready to run; the Keras model's variables are its memory.

    Several threads may use it at once: a pass's values are its own, and a training step has the weights to itself.

    Args:
        model: compiled; `train_step` and `evaluate` take its loss to be sparse categorical cross-entropy.
        dtype: of activations and products, float32 or bfloat16; master weights and statistics stay float32.
        seed: of dropout.
        any_end: also a model that does not end in softmax; its output is then what `forward` gives.
        kernels: which to use; by default those of the device that the model's variables lie on.

    Attributes:
        turns: whose it is to use the weights.
        device: where the model's variables lie, and everything is computed.
        lowering: of each stage, the layer and what runs it.
        optimizer_how: what runs the optimizer's update.
        ends_in_softmax: the softmax at the end is left out, and `forward` gives logits.

    Raises:
        ModelError: the model does something besides calling its layers (its own training step, losses added to the
            classifier's, masks), does not compute in float32, takes images of any size, scales its loss, does not
            end in softmax (unless `any_end`), or lies on several devices.
    """

    def __init__(
        self,
        model: keras.Model,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        *,
        any_end: bool = False,
        kernels: Kernels | None = None,
    ) -> None:
        self.turns = WeightsLock()
        self.device = _check(model)
        keep_freed_memory()
        self.model, self.seed = model, seed
        self.kernels = kernels or kernels_for(self.device)
        self.every_parameter = Parameters(dtype, self.device)
        self.ends_in_softmax = _leaves_softmax_to_loss(model)
        ends = self.ends_in_softmax or not any_end
        lowered = lower(model if ends else _with_softmax(model), self.every_parameter)
        if ends and not self.ends_in_softmax:
            raise ModelError(f"{model.name} must end in a softmax over its classes.")
        self.stages = fuse(lowered, self.every_parameter, self.kernels)
        self.lowering = [(lowered.name, lowered.stage.how) for lowered in self.stages]
        self.leaves_layers_to_keras = any(how == "Keras" for _, how in self.lowering)
        self.input_dtype = getattr(torch, model.inputs[0].dtype)
        by_variable = {id(parameter.variable): parameter for parameter in self.every_parameter}
        # In the model's order, which is that of the slots of an optimizer that Keras builds or loads.
        self.parameters = [
            by_variable[id(variable)] for variable in model.trainable_variables if id(variable) in by_variable
        ]
        self.generators = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]
        self.update, self.optimizer_how = update_for(model.optimizer, self.parameters, self.kernels)

    def train_step(
        self, images: UInt8[np.ndarray, "batch height width channels"], labels: Int64[np.ndarray, " batch"], number: int
    ) -> LossOutput:
        """One update.

        Args:
            number: of the step in the whole training, from 0; what is drawn at random is a function of it.

        Returns:
            The batch's loss and accuracy, measured before the weights change.
        """
        pictures, classes = torch.from_numpy(images).to(self.device), torch.from_numpy(labels).to(self.device)
        return self.learn_as(number, pictures, classes)

    def learn_as(self, number: int, images: Tensor, labels: Tensor | Targets) -> LossOutput:
        """The update of the step of that number, from tensors that lie where the variables do."""
        self.seed_layers_of_keras(number)
        return self.learn(images, labels, PassContext(training=True, seed=self.seed, number=number))

    def learn(self, images: Tensor, labels: Tensor | Targets, step: PassContext) -> LossOutput:
        """One update, from tensors that lie where the variables do; layers that Keras runs draw as they do there."""
        passing = Pass(step)
        with torch.no_grad(), self.turns.changing():
            result = self.gradients(images, labels, passing)
            self.apply(passing)
        return result

    def gradients(self, images: Tensor, labels: Tensor | Targets, passing: Pass) -> LossOutput:
        """Runs forward and backward; the pass then has the gradients."""
        result = self._judged(images, labels, passing)
        self.backward(result.gradient, passing)
        return result

    def forward(self, images: Tensor, passing: Pass) -> Tensor:
        """[n, height, width, channels] to the output: logits [n, classes] where the model ends in softmax."""
        values = [images if images.dtype == self.input_dtype else images.to(self.input_dtype)]
        for lowered in self.stages:
            values.append(lowered.stage.forward([values[index] for index in lowered.inputs], passing))
        return values[-1]

    def backward(self, gradient: Tensor | None, passing: Pass) -> None:
        """Propagate the gradient of the output, and the losses that layers add, back to each parameter."""
        pending: dict[int, Tensor] = {} if gradient is None else {len(self.stages): gradient}
        for index in range(len(self.stages), 0, -1):
            lowered = self.stages[index - 1]
            output_gradient = pending.pop(index, passing.charged.get(lowered.stage))
            if output_gradient is None or not lowered.learns:
                continue
            input_gradients = lowered.stage.backward(
                output_gradient, passing, needs_input_gradient=lowered.needs_input_gradient
            )
            for source, input_gradient in zip(lowered.inputs, input_gradients, strict=True):
                if input_gradient is not None and source:
                    pending[source] = pending[source] + input_gradient if source in pending else input_gradient

    def apply(self, passing: Pass) -> None:
        """The optimizer's update, by the gradients of a pass."""
        self.update(passing.gradients)

    def logits(self, images: UInt8[np.ndarray, "n height width channels"]) -> Tensor:
        """Inference: [n, classes]."""
        return self.infer(torch.tensor(images, device=self.device))

    def infer(self, images: Tensor) -> Tensor:
        """Inference on images that lie where the variables do."""
        with torch.no_grad(), self.turns.reading():
            return self.forward(images, Pass(PassContext(training=False)))

    def _judged(self, images: Tensor, labels: Tensor | Targets, passing: Pass) -> LossOutput:
        result = cross_entropy(self.forward(images, passing), labels, self.kernels)
        return replace(result, loss=result.loss + sum(passing.losses)) if passing.losses else result

    def renew(self) -> None:
        """Brings the copies to compute with up to date, where somebody else has changed weights."""
        for parameter in self.every_parameter:
            _ = parameter.value

    def seed_layers_of_keras(self, number: int) -> None:
        """Random numbers of layers that run as they are become functions of the step too."""
        if self.generators and self.leaves_layers_to_keras:  # seeding takes longer than a small network's step
            torch.manual_seed(seed_for(self.seed, "dropout", number))
        for index, generator in enumerate(self.generators):
            generator.assign(np.array([seed_for(self.seed, "dropout", number, index) >> 1, 0], np.int32))


class WeightsLock:
    """First come, first served, so that neither side waits for ever; within a turn a thread may take others."""

    def __init__(self) -> None:
        self._entry, self._left, self._readers, self._own = RLock(), Condition(), 0, local()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock for reading, together with other readers."""
        depth = self._depth()
        # Who reads already passes those who wait for it to end.
        with nullcontext() if depth else self._entry, self._left:
            self._readers += 1
        self._own.depth = depth + 1
        try:
            yield
        finally:
            self._own.depth = depth
            with self._left:
                self._readers -= 1
                self._left.notify_all()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock alone; other threads wait."""
        with self._entry:
            with self._left:
                self._left.wait_for(lambda: self._readers == self._depth())
            yield

    def _depth(self) -> int:
        """Number of turns of reading this thread is in."""
        depth: int = getattr(self._own, "depth", 0)
        return depth


def _check(model: keras.Model) -> torch.device:
    """Device of the variables; raises a ModelError where the stages would not compute all that Keras does."""
    _check_kind(model)
    for layer in all_layers(model):
        if layer.compute_dtype in {"float16", "bfloat16", "float64"}:
            raise ModelError(f"{layer.name} computes in {layer.compute_dtype}, not in float32.")
        if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False):
            raise ModelError(f"{layer.name} masks values.")
    if None in model.inputs[0].shape[1:]:
        raise ModelError(f"{model.name} takes images of any size; the engine runs models for one.")
    output = model(keras.ops.zeros((1, *model.inputs[0].shape[1:]), model.inputs[0].dtype), training=False)
    if mask_of(output) is not None:
        raise ModelError(f"{model.name} masks values.")
    if model.losses:
        raise ModelError(f"{model.name} adds losses of its own (regularizers).")
    optimizer = model.optimizer
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) or getattr(optimizer, "loss_scale_factor", None):
        raise ModelError(f"{model.name}'s optimizer scales the loss.")
    devices = {variable.value.device for variable in model.variables}
    if len(devices) > 1:
        raise ModelError(f"{model.name}'s weights lie on several devices: {', '.join(sorted(map(str, devices)))}.")
    return devices.pop() if devices else torch.device("cpu")


def _check_kind(model: keras.Model) -> None:
    """Raises a ModelError unless it is a Sequential or Functional model that trains as Keras's own do."""
    kind = type(model)
    is_overridden = any(getattr(kind, name) is not getattr(keras.Model, name) for name in (*STEPS, *FUNCTIONS))
    if is_overridden or any(name in vars(model) for name in (*STEPS, "call")):
        raise ModelError(f"{model.name} has a training step of its own.")
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{model.name} must be a built Sequential or Functional model with one input and one output.")
    if kind.call not in (keras.Sequential.call, FUNCTIONAL.call):
        raise ModelError(f"{model.name} has a call of its own.")


def _leaves_softmax_to_loss(model: keras.Model) -> bool:
    """Whether its output is a softmax over [n, classes] that `lower` leaves to the loss."""
    graph = trace(model)
    last = next((call for call in graph.calls if call.output is graph.output), None)
    if last is None or not last.is_plain or len(graph.output.shape) != 2:  # noqa: PLR2004
        return False
    layer: Any = last.layer
    if type(layer) is keras.layers.Softmax:
        return layer.axis in (-1, 1)
    adapted = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    return type(layer) in (keras.layers.Dense, keras.layers.Activation) and not adapted and ends_in_softmax(layer)


def _with_softmax(model: keras.Model) -> keras.Model:
    """The same layers with a softmax after them, which `lower` leaves out again."""
    softmax = keras.layers.Softmax(name="left_out")
    return keras.Model(model.inputs[0], softmax(model.outputs[0]), name=model.name)
