"""How the engine's tests compare the lowered program with plain Keras."""

from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Split
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.stage import Pass, PassContext
from eyespot.recipe.schema import TrainingRecipe
from eyespot.training.program import compile_classifier

DEVICE: torch.device = keras.ops.zeros(()).device  # where models lie


def compiled(model: keras.Model, **recipe: Any) -> keras.Model:
    compile_classifier(model, TrainingRecipe(**recipe), 1)
    return model


def hows(program: LoweredProgram) -> set[str]:
    """All that runs a program's stages."""
    return {how for _, how in program.lowering}


def difference(ours: Any, theirs: Any, least: float = 0.1) -> float:
    """The norm of the difference, as a share of the norm of the reference, or of `least` where that is smaller."""
    ours, theirs = (np.asarray(keras.ops.convert_to_numpy(value), np.float64) for value in (ours, theirs))
    return float(np.linalg.norm(ours - theirs)) / max(float(np.linalg.norm(theirs)), least)


def sixteen(pictures: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Sixteen pictures and their labels, where models lie."""
    return torch.tensor(pictures.images[:16], device=DEVICE), torch.tensor(pictures.labels[:16], device=DEVICE)


def by_keras(model: keras.Model, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, list[Any], list[Any]]:
    """A training step's loss, gradients and renewed statistics; the model stays as it is."""
    states = [np.array(variable) for variable in model.non_trainable_variables]
    loss = keras.losses.sparse_categorical_crossentropy(labels, model(images, training=True)).mean()
    gradients = torch.autograd.grad(loss, [variable.value for variable in model.trainable_variables])
    moved = [np.array(variable) for variable in model.non_trainable_variables]
    for variable, state in zip(model.non_trainable_variables, states, strict=True):
        variable.assign(state)
    return float(loss.detach()), list(gradients), moved


def whole(gradients: list[Any]) -> float:
    """The norm of all of them. A bias before a batch normalisation has none but rounding, of the size others have."""
    return max(0.1, float(torch.stack([gradient.norm() for gradient in gradients]).norm()))


def rounding(model: keras.Model, pictures: Split) -> float:
    """How far Keras's own gradients and statistics move when the last bits of its weights and pixels do."""
    images, labels = sixteen(pictures)
    weights, generator = model.get_weights(), np.random.default_rng(0)
    scales = {layer: layer.scale for layer in model.layers if isinstance(layer, keras.layers.Rescaling)}
    _, before, moved_before = by_keras(model, images, labels)
    model.set_weights([weight * (1 + generator.normal(0, 1e-7, weight.shape)) for weight in weights])
    for layer, scale in scales.items():
        layer.scale = scale * (1 + 2e-7)
    _, after, moved_after = by_keras(model, images, labels)
    model.set_weights(weights)
    for layer, scale in scales.items():
        layer.scale = scale
    gradients = [difference(*pair, whole(before)) for pair in zip(after, before, strict=True)]
    return max([*gradients, *(difference(*pair) for pair in zip(moved_after, moved_before, strict=True))])


def agrees(model: keras.Model, pictures: Split, tolerance: float = 1e-5) -> LoweredProgram:
    """Loss, gradients, outputs and moving statistics on sixteen pictures are those of Keras."""
    images, labels = sixteen(pictures)
    loss, theirs, moved = by_keras(model, images, labels)
    program = LoweredProgram(compiled(model))
    passing = Pass(PassContext(training=True))
    with torch.no_grad():
        judged = program.gradients(images, labels, passing)
    assert float(judged.loss) == pytest.approx(loss, rel=tolerance, abs=1e-6)
    by_variable = {id(parameter.variable): passing.gradients[parameter] for parameter in program.parameters}
    for variable, reference in zip(model.trainable_variables, theirs, strict=True):
        ours = by_variable[id(variable)]
        assert difference(ours, reference, whole(theirs)) < tolerance, variable.path
    for variable, reference in zip(model.non_trainable_variables, moved, strict=True):
        if "seed" not in variable.path:
            assert difference(variable, reference) < tolerance, variable.path
    outputs = torch.softmax(program.logits(pictures.images[:16]), 1)
    assert difference(outputs, model(images, training=False).detach()) < tolerance
    return program
