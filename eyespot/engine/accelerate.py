"""`eyespot.accelerate`: a Keras model whose own `fit`, `evaluate` and `predict` run through the engine."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import wraps
from threading import RLock
from typing import Any, cast, get_args

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.hardware import Precision, dtype_for
from eyespot.engine.keras_step import BatchAdapter, FastMetrics
from eyespot.engine.loss import CompiledLossOutput, CrossEntropy, fused_loss
from eyespot.engine.lowered_program import LoweredProgram, WeightsLock
from eyespot.engine.stage import Pass, PassContext
from eyespot.errors import EyespotError, ModelError, UsageError, unknown
from eyespot.keras_internals import SYMBOLIC_BUILD, compiled_loss, has_loss_weights, loss_metric, symbolic_build

Logs = dict[str, Any]
KINDS = ("train", "test", "predict")
SEEDS = 2**62


def accelerate(model: Any, precision: str = "auto") -> Any:
    """Makes a model's own `fit`, `evaluate`, `predict` and their `*_on_batch` run through the engine.

    Everything else stays Keras's: callbacks, metrics, weights of samples and classes, schedules, saving (the file is
    that of the plain model). Cross-entropy is computed straight from logits, any other loss by Keras's own object. The
    model may be compiled again, which is also how it learns of changed settings of a layer; changes of `trainable` it
    notices by itself. `jit_compile` has no effect. Dropout draws other masks than Keras's, from the same seed.

    Any number of threads may predict with the model at once, also while one trains it: an answer is that of the weights
    before or after a step. Calls of `evaluate` wait for one another, and steps of a training for both. A model has one
    set of metrics, as in Keras: what `fit` reports of an epoch starts anew where another thread evaluates meanwhile.

    Args:
        model: a built and compiled `keras.Model`; it is changed in place.
        precision: of activations and products: `float32`, `bfloat16`, or `auto` for bfloat16 where the processor
            multiplies it natively. Weights, metrics and predictions stay float32.

    Returns:
        The model. Its attribute `lowering` is a list of pairs: a layer's name, and what runs it. A model that the
        engine cannot run stays plain Keras: a warning says why, and so does `lowering`.

    Raises:
        ModelError: it is not a Keras model, not built or not compiled, or there is no such precision. Later, `fit` and
            the others raise a DataError where images or labels do not fit the model.
    """
    if precision not in get_args(Precision):
        raise UsageError(unknown("precision", precision, get_args(Precision)))
    if not isinstance(model, keras.Model):
        raise ModelError(f"accelerate takes a keras.Model, not {type(model).__name__}.")
    if not model.built:
        raise ModelError(f"{model.name} is not built: give it an Input, or call it on some images, before accelerate.")
    if not model.compiled:
        raise ModelError(f"{model.name} is not compiled: call its compile(optimizer, loss) before accelerate.")
    _Accelerated(model, dtype_for(cast("Precision", precision))).install()
    return model


class _Accelerated:
    """The step functions of an accelerated model.

    Keras has these made, or keeps them, at the beginning of `fit`, `evaluate`, `predict` and every `*_on_batch`; that
    is where the program is renewed if the model has changed.
    """

    def __init__(self, model: keras.Model, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.reason = ""
        self.seed = self.number = 0
        self.tally: FastMetrics | None = None
        self.turns = WeightsLock()
        self.measuring = RLock()  # metrics are one set a model: an evaluation has them to itself
        self._lower()

    def install(self) -> None:
        """Hooks in on the instance: the class, which is what is saved, stays what it was."""
        for kind, step in zip(KINDS, (self.train_step, self.test_step, self.predict_step), strict=True):
            _set(self.model, f"make_{kind}_function", self._maker(kind, step))
            _set(self.model, f"{kind}_function", None)
        _set(self.model, SYMBOLIC_BUILD, self._symbolic_build)
        _set(self.model, "evaluate", self._evaluate())

    def train_step(self, batches: Any) -> Logs:
        """One update by the one batch in a list, as Keras passes it."""
        with self.measuring, self.turns.changing():
            return self._learn(batches)

    def _learn(self, batches: Any) -> Logs:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batches[0])
        if [variable.trainable for variable in self.variables] != self.trains:
            self._lower()
        images = self.intake.images(x) if self.program else None
        if self.program is None or images is None or not hasattr(y, "shape"):
            return self.model.train_step(batches[0])  # type: ignore[no-any-return]
        passing = Pass(PassContext(training=True, seed=self.seed, number=self.number))
        self.number += 1
        with torch.no_grad():
            result, labels = self._weigh(self.program.forward(images, passing), (x, y, weight), passing)
            if self.program.parameters:
                self.program.backward(result.gradient, passing)
                self.program.apply(passing)
            else:
                warnings.warn("The model does not have any trainable weights.", stacklevel=2)  # as Keras says it
            return self._logs((x, y, weight), result, labels)

    def test_step(self, batches: Any) -> Logs:
        """Loss and metrics of one batch in inference form."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batches[0])
        passing = Pass(PassContext(training=False))
        with torch.no_grad(), self.measuring, self.turns.reading():
            images = self.intake.images(x) if self.program else None
            if self.program is None or images is None or not hasattr(y, "shape"):
                return self.model.test_step(batches[0])  # type: ignore[no-any-return]
            result, labels = self._weigh(self.program.forward(images, passing), (x, y, weight), passing)
            return self._logs((x, y, weight), result, labels)

    def predict_step(self, batches: Any) -> Tensor:
        """The model's output for one batch, float32."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batches[0])
        with torch.no_grad(), self.turns.reading():
            images = self.intake.images(x) if self.program else None
            if self.program is None or images is None:
                return self.model.predict_step(batches[0])
            output = self.program.forward(images, Pass(PassContext(training=False))).to(torch.float32, copy=True)
            return torch.softmax(output, 1) if self.program.ends_in_softmax else output

    def _weigh(
        self, output: Tensor, batch: tuple[Any, Any, Any], passing: Pass
    ) -> tuple[CompiledLossOutput, Tensor | None]:
        """The loss, and the labels in the form that the fused loss takes; None where Keras computed it."""
        result, labels = self._of_output(output, batch, passing)
        if passing.losses:
            result = replace(result, loss=result.loss + sum(passing.losses))
        return result, labels

    def _of_output(
        self, output: Tensor, batch: tuple[Any, Any, Any], passing: Pass
    ) -> tuple[CompiledLossOutput, Tensor | None]:
        weights = None if batch[2] is None else self.intake.row_weights(batch[2])
        if self.loss is None or (weights is None and batch[2] is not None):
            return self._weigh_by_keras(output, batch, passing), None
        labels = self.intake.class_numbers(batch[1]) if self.loss.sparse else self.intake.distributions(batch[1])
        if self.loss.sparse and labels.is_cuda:
            self.intake.check_range(labels)  # a GPU's kernel raises nothing: the process could not use the GPU any more
        try:
            return self.loss(output, labels, weights, with_gradient=passing.step.training), labels
        except RuntimeError:
            if self.loss.sparse:
                self.intake.check_range(labels)
            raise

    def _weigh_by_keras(self, output: Tensor, batch: tuple[Any, Any, Any], passing: Pass) -> CompiledLossOutput:
        (x, y, weight), training = batch, passing.step.training
        with torch.set_grad_enabled(training):
            leaf = output.float().detach().requires_grad_(training)
            predictions = torch.softmax(leaf, 1) if self.program and self.program.ends_in_softmax else leaf
            if self.model.loss is None and passing.losses:  # all that is learnt
                return CompiledLossOutput(torch.zeros_like(passing.losses[0]), predictions.detach(), None)
            loss = self.model.compute_loss(x=x, y=y, y_pred=predictions, sample_weight=weight, training=training)
        # Of a loss that does not depend on the output, the error is PyTorch's, unless something else is learnt.
        learns = training and (loss.requires_grad or not passing.losses)
        gradient = torch.autograd.grad(loss, leaf)[0].to(output.dtype) if learns else None
        return CompiledLossOutput(loss.detach(), predictions.detach(), gradient)

    def _logs(self, batch: tuple[Any, Any, Any], result: CompiledLossOutput, labels: Tensor | None) -> Logs:
        """The metrics so far."""
        if self.tally is not None and labels is not None:
            return self.tally.add(result, labels)
        x, y, weight = batch
        loss_metric(self.model).update_state(result.loss, sample_weight=len(result.predictions))
        logs: Logs = self.model.compute_metrics(x, y, result.predictions, sample_weight=weight)
        return logs

    def _maker(self, kind: str, step: Callable[[Any], Any]) -> Callable[..., Any]:
        """A replacement of the model's `make_*_function`."""
        keras_makes = getattr(type(self.model), f"make_{kind}_function")

        def make(force: bool = False) -> Any:
            with self.turns.reading():
                has_changed = self._has_changed()
            with self.turns.changing() if has_changed else nullcontext():
                if has_changed and self._has_changed():
                    self._lower()
            if self.program is None or self.model.steps_per_execution > 1:
                return keras_makes(self.model, force or getattr(self.model, f"{kind}_function") is step)
            self.intake.looks = self.intake.scales
            sparse = self.loss is not None and self.loss.sparse
            self.tally = (
                FastMetrics(self.model, sparse=sparse)
                if self.loss and FastMetrics.can(self.model, sparse=sparse)
                else None
            )
            if kind == "train" and self.program.generators:
                # Where Keras, too, would draw from PyTorch's seed; elsewhere the order of the images stays Keras's.
                self.seed, self.number = int(torch.randint(SEEDS, ())), 0
            _set(self.model, f"{kind}_function", step)
            return step

        return make

    def _evaluate(self) -> Callable[..., Any]:
        """Keras's `evaluate`, one call at a time."""

        @wraps(type(self.model).evaluate)
        def evaluate(*args: Any, **kwargs: Any) -> Any:
            with self.measuring:
                return type(self.model).evaluate(self.model, *args, **kwargs)

        return evaluate

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Run Keras's symbolic build; replace its error on data that do not fit by a DataError."""
        try:
            symbolic_build(self.model, iterator, data_batch)
        except Exception:
            self._check(iterator, data_batch)
            raise

    def _check(self, iterator: Any, data_batch: Any) -> None:
        """Raises a DataError where the first batch does not fit."""
        if iterator is not None:
            with suppress(Exception):  # of data that cannot be read again, Keras's own error is the one to show
                iterator.reset()
                data_batch = next((batches[0] for _, _, batches in iterator), None)
        if self.program is None or data_batch is None:
            return
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
        try:
            self.intake.images(x)
            if self.loss is not None and hasattr(y, "shape"):
                _ = self.intake.class_numbers(y) if self.loss.sparse else self.intake.distributions(y)
        except EyespotError as error:
            raise error from None

    def _has_changed(self) -> bool:
        """Whether the model is not what the program was made for: compiled anew, rebuilt, other variables."""
        objects, variables = _state(self.model)
        return variables != self.state[1] or any(
            new is not old for new, old in zip(objects, self.state[0], strict=True)
        )

    def _lower(self) -> None:
        """A new program; where there is none, the reason."""
        model = self.model
        self.program: LoweredProgram | None = None
        self.loss: CrossEntropy | None = None
        try:
            program = LoweredProgram(model, self.dtype, any_end=True)
            rank = len(model.outputs[0].shape)
            is_fusible = model.loss is not None and not has_loss_weights(model) and rank == 2  # noqa: PLR2004
            self.loss = fused_loss(model.loss, of_probabilities=program.ends_in_softmax) if is_fusible else None
            if self.loss is None and not program.ends_in_softmax:
                # bfloat16 is too coarse for probabilities
                program = LoweredProgram(model, torch.float32, any_end=True)
            program.turns = self.turns  # which outlasts it
            self.program, self.intake, self.reason = program, BatchAdapter(model, program.device), ""
            lowering = program.lowering
        except ModelError as error:
            lowering = [(model.name, f"Keras: {error}")]
            if str(error) != self.reason:
                warnings.warn(f"{model.name} goes on as plain Keras: {error}", stacklevel=2)
            self.reason = str(error)
        self.state = _state(model)
        self.variables = model.weights
        self.trains = [variable.trainable for variable in self.variables]
        _set(model, "lowering", lowering)


def _set(model: keras.Model, name: str, value: Any) -> None:
    """Sets an attribute past Keras, which would wrap lists and keep them with the layers."""
    object.__setattr__(model, name, value)


def _state(model: keras.Model) -> tuple[tuple[Any, ...], list[tuple[int, bool, int]]]:
    """The state a program is made for: objects, compared by identity, and each variable's memory and trainability."""
    outputs = getattr(model, "outputs", None) or [None]
    variables = [(id(variable), variable.trainable, variable.value.data_ptr()) for variable in model.weights]
    return (model.optimizer, compiled_loss(model), outputs[0]), variables
