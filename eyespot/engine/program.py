"""The lowered program: steps of training and inference over the stages."""

import numpy as np
import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.engine.loss import Judged, cross_entropy
from eyespot.engine.lowering import lower
from eyespot.engine.optimizers import update_for
from eyespot.engine.stage import Parameters, Step
from eyespot.errors import ModelError
from eyespot.seeds import seed_for
from eyespot.shapes import Int64, UInt8


class LoweredProgram:
    """A classifier's stages, ready to run; the Keras model's variables are its memory.

    Args:
        model: compiled; its loss is taken to be sparse categorical cross-entropy.
        dtype: of activations and products, float32 or bfloat16; master weights and statistics stay float32.
        seed: of dropout.

    Attributes:
        lowering: of each stage, the layer and what runs it.
        optimizer_how: what runs the optimizer's update.

    Raises:
        ModelError: the model does something besides calling its layers (its own training step, losses added to the
            classifier's), does not end in softmax, or lies on a GPU.
    """

    def __init__(self, model: keras.Model, dtype: torch.dtype = torch.float32, seed: int = 0) -> None:
        _check(model)
        self.model, self.seed = model, seed
        self.every_parameter = Parameters(dtype)
        self.stages = lower(model, self.every_parameter)
        self.lowering = [(lowered.name, lowered.stage.how) for lowered in self.stages]
        self.input_dtype = getattr(torch, model.inputs[0].dtype)
        trainable = {id(variable) for variable in model.trainable_variables}
        self.parameters = [parameter for parameter in self.every_parameter if id(parameter.variable) in trainable]
        self.generators = [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]
        self.update, self.optimizer_how = update_for(model.optimizer, self.parameters)

    def train_step(
        self, images: UInt8[np.ndarray, "batch height width channels"], labels: Int64[np.ndarray, " batch"], number: int
    ) -> Judged:
        """One update.

        Args:
            number: of the step in the whole training, from 0; what is drawn at random is a function of it.

        Returns:
            The batch's loss and accuracy, measured before the weights change.
        """
        step = Step(training=True, seed=self.seed, number=number)
        self._seed_the_layers_of_keras(number)
        with torch.no_grad():
            judged = self.gradients(torch.from_numpy(images), torch.from_numpy(labels), step)
            self.update()
            for parameter in self.parameters:
                parameter.has_changed()
        return judged

    def gradients(self, images: Tensor, labels: Tensor, step: Step) -> Judged:
        """Runs forward and backward; each parameter then has its gradient."""
        for parameter in self.every_parameter:
            parameter.gradient = None
        values = self._forward(images, step)
        judged = cross_entropy(values[-1], labels)
        waiting: dict[int, Tensor] = {len(self.stages): judged.gradient}
        for place in range(len(self.stages), 0, -1):
            lowered, gradient = self.stages[place - 1], waiting.pop(place, None)
            if gradient is None or not lowered.learns:
                continue
            upstream = lowered.stage.backward(gradient, wanted=lowered.wanted)
            for source, arriving in zip(lowered.inputs, upstream, strict=True):
                if arriving is not None and source:
                    waiting[source] = waiting[source] + arriving if source in waiting else arriving
        return judged

    def logits(self, images: UInt8[np.ndarray, "n height width channels"]) -> Tensor:
        """Inference: [n, classes]."""
        with torch.no_grad():
            return self._forward(torch.tensor(images), Step(training=False))[-1]

    def evaluate(self, images: UInt8[np.ndarray, "n height width channels"], labels: Int64[np.ndarray, " n"]) -> Judged:
        """Loss and accuracy in inference form."""
        with torch.no_grad():
            return cross_entropy(self.logits(images), torch.tensor(labels))

    def _forward(self, images: Tensor, step: Step) -> list[Tensor]:
        values = [images if images.dtype == self.input_dtype else images.to(self.input_dtype)]
        for lowered in self.stages:
            values.append(lowered.stage.forward([values[place] for place in lowered.inputs], step))
        return values

    def _seed_the_layers_of_keras(self, number: int) -> None:
        """Random numbers of layers that run as they are become functions of the step too."""
        if self.generators:
            torch.manual_seed(seed_for(self.seed, "dropout", number))
        for index, generator in enumerate(self.generators):
            generator.assign(np.array([seed_for(self.seed, "dropout", number, index) >> 1, 0], np.int32))


def _check(model: keras.Model) -> None:
    """Raises a ModelError where the stages would not compute all that Keras does."""
    if type(model).train_step is not keras.Model.train_step:
        raise ModelError(f"{model.name} has a training step of its own.")
    model(keras.ops.zeros((1, *model.inputs[0].shape[1:]), model.inputs[0].dtype), training=False)
    if model.losses:
        raise ModelError(f"{model.name} adds losses of its own (regularizers).")
    if any(variable.value.device.type != "cpu" for variable in model.variables):
        raise ModelError("the engine does not run on a GPU yet.")
