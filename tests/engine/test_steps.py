"""What steps are fed, and what the engine makes of mixed and weighted rows, against Keras."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.augment.policy import Changes
from eyespot.data.dataset import Dataset, Split
from eyespot.engine.hardware import deterministic_kernels
from eyespot.engine.loss import Targets, cross_entropy
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.stage import Pass, PassContext
from eyespot.engine.steps import BatchMaker, DeviceStepRunner, Epoch, HostStepRunner, Mean
from eyespot.models.architectures import build
from tests.engine.compare import DEVICE, compiled

LOGITS = torch.tensor([[0.3, -1.2, 0.8], [40.0, 0.0, -1.0], [-30.0, 2.0, 1.0], [0.0, 0.0, 0.0], [17.0, 0.0, 16.0]])
LABELS, OTHERS = torch.tensor([2, 1, 0, 1, 0]), torch.tensor([0, 0, 0, 2, 2])
SHARES = torch.tensor([0.9, 0.5, 1.0, 0.7, 0.6])
WEIGHTS = torch.tensor([1.0, 0.5, 2.0, 0.0, 3.0])
EVERYTHING = Changes(
    shift=0.1, rotate=15, zoom=0.1, flip_horizontal=True, brightness=0.1, contrast=0.2, erase=0.3, mixup=0.4, cutmix=1.0
)
CLASS_WEIGHTS = np.array([0.5, 1.0, 2.5], np.float32)


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, 3).float()


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("mixed", [False, True])
def test_loss_and_gradient_are_those_of_keras(mixed: bool, weights: Any):
    """Of one-hot labels mixed by their shares, with sample weights, and where probabilities are clipped."""
    leaf = LOGITS.clone().requires_grad_()
    truth = SHARES[:, None] * one_hot(LABELS) + (1 - SHARES)[:, None] * one_hot(OTHERS) if mixed else one_hot(LABELS)
    theirs = keras.losses.CategoricalCrossentropy()(truth, torch.softmax(leaf, 1), weights)
    (reference,) = torch.autograd.grad(theirs, leaf)
    targets = Targets(LABELS, OTHERS if mixed else None, SHARES if mixed else None, weights)
    ours = cross_entropy(LOGITS, targets, "cpu")
    assert float(ours.loss) == pytest.approx(float(theirs.detach()), rel=1e-6)
    torch.testing.assert_close(ours.gradient, reference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(targets.distributions(3), truth)
    # The third of the rows is a tie between no label and another; accuracy counts against the larger share alone.
    assert float(ours.accuracy) == pytest.approx(float((LOGITS.argmax(1) == LABELS).float().mean()))


def test_a_networks_gradients_on_mixed_pictures_are_keras_own(bars: Dataset):
    """Through a whole network, batch normalisation included: categorical cross-entropy on mixed one-hot labels."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
    model = compiled(
        keras.Sequential(
            [keras.Input((8, 8, 1), dtype="uint8"), *stack, layers.Flatten(), layers.Dense(3, activation="softmax")]
        )
    )
    program = LoweredProgram(model)
    images, labels = (torch.tensor(array[:24], device=DEVICE) for array in (bars.train.images, bars.train.labels))
    pictures, targets = BatchMaker(3, EVERYTHING, CLASS_WEIGHTS, DEVICE).batch(images, labels, 5)
    assert isinstance(targets, Targets)
    assert targets.weights is not None
    prediction = model(pictures, training=True)
    truth = targets.distributions(3)
    losses = keras.losses.categorical_crossentropy(truth, prediction) * targets.weights
    theirs = torch.autograd.grad(losses.mean(), [variable.value for variable in model.trainable_variables])
    passing = Pass(PassContext(training=True, seed=0, number=0))
    with torch.no_grad():
        judged = program.gradients(pictures, targets, passing)
    assert float(judged.loss) == pytest.approx(float(losses.mean().detach()), rel=1e-5)
    for parameter, reference in zip(program.parameters, theirs, strict=True):
        torch.testing.assert_close(passing.gradients[parameter], reference, rtol=1e-3, atol=1e-5)


def test_a_plain_feed_hands_over_what_it_gets(bars: Dataset):
    """Without changes and weights, batch and labels are the very tensors, so that their step is the old one."""
    images, labels = torch.from_numpy(bars.train.images), torch.from_numpy(bars.train.labels)
    pictures, targets = BatchMaker(3).batch(images, labels, 5)
    assert pictures is images
    assert targets is labels


def test_pictures_that_cannot_be_written_are_laid_out_quietly(bars: Dataset):
    """A split that is a memory map, or otherwise read-only, begins an epoch on a device without a warning."""
    pixels = bars.train.images[:40].copy()
    pixels.setflags(write=False)
    steps = DeviceStepRunner(LoweredProgram(compiled(build("mlp", (8, 8, 1), 3))))
    steps.begin(Epoch(Split(pixels, bars.train.labels[:40]), np.arange(40), 32, 0), Mean())
    steps.run(0)
    assert steps.mean().pictures == 32


def test_a_continued_epoch_keeps_the_digits_of_its_sums(bars: Dataset):
    """The sums of an interrupted epoch go on as they were, in float64: an epoch resumed has the loss of a whole one."""
    before = Mean(64, 0.1 + 2**-40, 17.0)
    for kind in (HostStepRunner, DeviceStepRunner):
        steps: Any = kind(LoweredProgram(compiled(build("mlp", (8, 8, 1), 3))))
        steps.begin(Epoch(bars.train, np.arange(120), 32, 0), before)
        assert steps.mean() == before


def test_a_step_without_augmentation_keeps_its_bits(bars: Dataset):
    """Weights after an epoch are those of the program's own steps on the plain arrays, bit for bit."""
    order = np.random.default_rng(0).permutation(120)
    epoch = Epoch(bars.train, order, 32, 4)
    fed, plain = (LoweredProgram(compiled(build("fashion-cnn-dropout", (8, 8, 1), 3, 1)), seed=4) for _ in range(2))
    steps, mean = HostStepRunner(fed), Mean()
    steps.begin(epoch, Mean())
    with deterministic_kernels(enabled=True):
        for index in range(epoch.steps):
            steps.run(index)
            rows = epoch.rows(index)
            judged = plain.train_step(bars.train.images[rows], bars.train.labels[rows], 4 + index)
            mean.add(float(judged.loss), float(judged.accuracy), len(rows))
    assert steps.mean() == mean
    for mine, its in zip(fed.model.get_weights(), plain.model.get_weights(), strict=True):
        assert np.array_equal(mine, its)


@pytest.mark.parametrize("class_weights", [None, CLASS_WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("changes", [Changes(shift=0.2, erase=0.5), EVERYTHING], ids=["one class", "mixed"])
def test_device_steps_learn_what_host_steps_do(bars: Dataset, changes: Changes, class_weights: Any):
    """Both draw the same for the same step, also in an epoch that is continued, the last batch smaller."""
    found: list[Any] = []
    start: list[np.ndarray] = []
    for kind in (HostStepRunner, DeviceStepRunner):
        with keras.device("cpu") if kind is HostStepRunner else nullcontext():
            model = compiled(build("mnist-cnn-small", (8, 8, 1), 3, 1), optimizer="sgd", learning_rate=0.05)
            program = LoweredProgram(model, seed=4)
        model.set_weights(start := start or model.get_weights())
        steps: Any = kind(program, BatchMaker(4, changes, class_weights, program.device))
        order = np.random.default_rng(0).permutation(70)
        for first, made, before in ((0, 0, Mean()), (3, 1, Mean(32, 10.0, 5.0))):
            steps.begin(Epoch(bars.train, order, 32, first), before)
            for index in range(made, 3):
                steps.run(index)
        mean = steps.mean()
        found.append(([mean.pictures, mean.loss, mean.accuracy], model.get_weights()))
    (means, weights), (others, their_weights) = found
    assert means == pytest.approx(others, abs=1e-5)
    for mine, its in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_draws_are_those_of_the_step_whatever_came_before():
    """Steps drawn ahead, a smaller last batch and a jump back give what the step alone would draw."""
    used, order = BatchMaker(2, EVERYTHING), [(0, 32), (1, 32), (2, 6), (3, 32), (40, 32), (1, 32)]
    for number, pictures in order:
        assert torch.equal(used.draws(number, pictures), BatchMaker(2, EVERYTHING).draws(number, pictures))
