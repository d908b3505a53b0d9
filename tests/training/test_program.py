"""Both programs, where pictures are changed and classes weighted, against each other and against Keras's own `fit`."""

from typing import Any

import numpy as np
import pytest
import torch

from eyespot.data.augment.policy import Changes
from eyespot.data.dataset import Dataset
from eyespot.engine.steps import Epoch, Mean
from eyespot.models.architectures import build
from eyespot.recipe.schema import TrainingRecipe
from eyespot.training.program import EngineProgram, KerasProgram, compile_classifier

RECIPE = TrainingRecipe(optimizer="sgd", learning_rate=0.1, batch_size=30, epochs=1)
WEIGHTS = np.array([0.5, 1.0, 2.5], np.float32)
MIXED = Changes(shift=0.1, rotate=10, flip_horizontal=True, erase=0.3, mixup=0.4, cutmix=1.0)


def stepped(bars: Dataset, engine: str, steps: int, order: Any, **fed: Any) -> tuple[Any, Mean]:
    model = build("mnist-cnn-small", bars.input_shape, bars.classes)
    program: Any = (
        KerasProgram(model, RECIPE, 4, **fed)
        if engine == "keras"
        else EngineProgram(model, RECIPE, 4, torch.float32, **fed)
    )
    program.begin_epoch(Epoch(bars.train, order, 30, 0), Mean())
    for index in range(steps):
        program.train_step(index)
    return program, program.mean()


@pytest.mark.parametrize("engine", ["float32", "keras"])
def test_class_weights_are_those_of_keras_fit(bars: Dataset, engine: str):
    """A step leaves the weights where `fit(class_weight=…)` does, with the same loss; validation is unweighted."""
    rows = np.arange(30)
    program, mean = stepped(bars, engine, 1, rows, class_weights=WEIGHTS)
    theirs = build("mnist-cnn-small", bars.input_shape, bars.classes)
    compile_classifier(theirs, RECIPE, 4)
    images, labels = bars.train.images[rows], bars.train.labels[rows]
    named = {label: float(weight) for label, weight in enumerate(WEIGHTS)}
    history = theirs.fit(images, labels, batch_size=30, class_weight=named, shuffle=False, verbose=0).history
    assert mean.loss == pytest.approx(history["loss"][0], abs=1e-5)
    assert mean.accuracy == pytest.approx(history["accuracy"][0])
    for mine, its in zip(program.weights(), theirs.get_weights(), strict=True):
        assert mine == pytest.approx(its, abs=1e-6)
    assert program.evaluate(bars.train).means == pytest.approx(
        theirs.evaluate(bars.train.images, bars.train.labels, verbose=0), abs=1e-5
    )
    unweighted, _ = stepped(bars, engine, 1, rows)
    assert np.abs(unweighted.weights()[0] - program.weights()[0]).max() > 1e-4


@pytest.mark.parametrize(
    "fed", [{"changes": MIXED}, {"changes": MIXED, "class_weights": WEIGHTS}], ids=["mixed", "both"]
)
def test_both_programs_learn_the_same_of_changed_pictures(bars: Dataset, fed: dict[str, Any]):
    """After four steps on mixed pictures, engine and Keras have the same weights, losses and accuracies."""
    order = np.random.default_rng(0).permutation(len(bars.train))
    (ours, mean), (theirs, other) = (stepped(bars, engine, 4, order, **fed) for engine in ("float32", "keras"))
    assert (mean.loss, mean.accuracy) == pytest.approx((other.loss, other.accuracy), abs=1e-5)
    for mine, its in zip(ours.weights(), theirs.weights(), strict=True):
        assert mine == pytest.approx(its, abs=1e-5)
    assert ours.evaluate(bars.train).means == pytest.approx(theirs.evaluate(bars.train).means, abs=1e-5)


def test_validation_pictures_are_left_alone(bars: Dataset):
    """A program that changes pictures judges them as one that does not."""
    order = np.arange(30)
    for engine in ("float32", "keras"):
        changing, _ = stepped(bars, engine, 0, order, changes=MIXED)
        plain, _ = stepped(bars, engine, 0, order)
        assert changing.evaluate(bars.train).means == pytest.approx(plain.evaluate(bars.train).means, abs=1e-6)
