"""Fused stages: the numbers of Keras, with the kernels and without; masks that are fair and the same both ways."""

from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.epilogue_spec import EpilogueSpec, PoolWindow
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.stage import Parameters, Pass, PassContext
from eyespot.engine.stages.normalization import BatchNormalizationStage
from eyespot.engine.stages.pointwise import DropoutStage
from tests.conftest import make_split
from tests.engine.compare import agrees, compiled, hows

layers = keras.layers
pytest.importorskip("numba")

from eyespot.engine.stages.epilogue import EpilogueStage, NormalizedEpilogueStage  # noqa: E402 - where Numba is

TAILS: dict[str, tuple[list[Any], str]] = {
    "activation, pool": ([layers.ReLU(), layers.MaxPooling2D(2)], "bias + activation + maximum pool, fused"),
    "pool, activation": ([layers.MaxPooling2D(2), layers.LeakyReLU(0.2)], "bias + maximum pool + activation, fused"),
    "pixels left over": ([layers.MaxPooling2D(3)], "bias + maximum pool, fused"),
    "windows over the edge": ([layers.MaxPooling2D(3, padding="same")], "bias + maximum pool, fused"),
    "flat windows": ([layers.MaxPooling2D((1, 4), padding="same")], "bias + maximum pool, fused"),
    "dropout, activation": ([layers.Dropout(0.0), layers.ReLU()], "bias + dropout + activation, fused"),
    "normalisation": ([layers.BatchNormalization()], "batch normalisation, fused"),
    "normalisation, pool": (
        [layers.BatchNormalization(gamma_initializer="random_normal"), layers.ReLU(), layers.MaxPooling2D(3)],
        "batch normalisation + activation + maximum pool, fused",
    ),
    "frozen normalisation": (
        [layers.BatchNormalization(trainable=False), layers.MaxPooling2D(2, padding="same"), layers.LeakyReLU(0.1)],
        "batch normalisation + maximum pool + activation, fused",
    ),
    "twice": ([layers.ReLU(), layers.MaxPooling2D(2), layers.ReLU()], "activation, fused"),
    "pool after dropout": ([layers.Dropout(0.0), layers.MaxPooling2D(2)], "maximum pool, fused"),
    "windows that overlap": ([layers.ReLU(), layers.MaxPooling2D(3, strides=2)], "maximum pool"),
}


@pytest.fixture(scope="module")
def bars9() -> Dataset:
    """Pictures whose sides the windows do not divide."""
    return Dataset("bars9", ("lying", "standing", "slanting"), make_split(10, seed=1, size=(9, 9, 1)))


def network(tail: list[Any], side: int = 9) -> keras.Model:
    """Pixels, a convolution, the tail, a dense layer with the activation in it, classes."""
    keras.utils.set_random_seed(5)
    copies = [type(layer).from_config(layer.get_config()) for layer in tail]
    start = [keras.Input((side, side, 1), dtype="uint8"), layers.Rescaling(1 / 255)]
    head = [layers.Flatten(), layers.Dense(7, activation="relu"), layers.Dense(3, activation="softmax")]
    # A bias before a batch normalisation has no gradient but rounding.
    biased = not isinstance(tail[0], layers.BatchNormalization)
    convolution = layers.Conv2D(5, 2, use_bias=biased, bias_initializer="random_normal")
    model = keras.Sequential([*start, convolution, *copies, *head])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-0.2, 0.3, 5))
            layer.moving_variance.assign(np.linspace(0.1, 2, 5))
    return model


@pytest.mark.parametrize("name", TAILS)
def test_fused_stages_give_the_numbers_of_keras(name: str, bars9: Dataset):
    """Loss, every gradient, moving statistics and inference, whatever is fused with what."""
    tail, how = TAILS[name]
    program = agrees(network(tail), bars9.train)
    assert how in hows(program)
    assert "bias + activation, fused" in hows(program)


@pytest.mark.parametrize("name", ["pool, activation", "normalisation, pool", "frozen normalisation"])
def test_without_numba_only_the_stages_differ(name: str, bars9: Dataset, monkeypatch: pytest.MonkeyPatch):
    """The same numbers, from PyTorch's own operations."""
    monkeypatch.setattr("eyespot.engine.lowered_program.kernels_for", lambda _: None)
    program = agrees(network(TAILS[name][0]), bars9.train)
    assert not any("fused" in how for how in hows(program))


def test_what_two_stages_use_stays(bars9: Dataset):
    """A value that something else needs too is not swallowed by a fused stage."""
    pixels = keras.Input((9, 9, 1), dtype="uint8")
    start = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(1 / 255)(pixels))
    active = layers.ReLU()(start)
    joined = layers.Add()([start, active, layers.ReLU()(layers.BatchNormalization()(active))])
    output = layers.Dense(3, activation="softmax")(layers.Flatten()(joined))
    program = agrees(keras.Model(pixels, output), bars9.train)
    assert "activation, fused" in hows(program)


@pytest.mark.parametrize("tail", [name for name in TAILS if "pool" in name and "overlap" not in name])
def test_in_bfloat16_fused_is_as_near_as_unfused(tail: str, bars9: Dataset, monkeypatch: pytest.MonkeyPatch):
    """Each gradient is no further from float32's than without fusion, but for a few roundings."""
    found = {}
    kinds: tuple[Any, ...] = (
        ("exact", torch.float32, "cpu"), ("fused", torch.bfloat16, "cpu"), ("unfused", torch.bfloat16, None),
    )  # fmt: skip
    for name, dtype, kernels in kinds:
        monkeypatch.setattr("eyespot.engine.lowered_program.kernels_for", lambda _, kernels=kernels: kernels)
        program = LoweredProgram(compiled(network(TAILS[tail][0])), dtype)
        passing = Pass(PassContext(training=True))
        with torch.no_grad():
            program.gradients(torch.tensor(bars9.train.images), torch.tensor(bars9.train.labels), passing)
        found[name] = [passing.gradients[parameter].float() for parameter in program.parameters]
    for exact, fused, unfused in zip(found["exact"], found["fused"], found["unfused"], strict=True):
        allowed = 1.5 * (unfused - exact).norm() + 0.02 * exact.norm() + 1e-4
        assert (fused - exact).norm() <= allowed


def stage_of(kind: str, rate: float, index: int = 0) -> Any:
    if kind == "fused":
        return EpilogueStage(EpilogueSpec(rate=rate, index=index), None)
    return DropoutStage(layers.Dropout(rate), index)


def drop(stage: Any, number: int, seed: int = 0) -> torch.Tensor:
    ones = stage.forward([torch.ones(200, 500)], Pass(PassContext(training=True, seed=seed, number=number)))
    return ones > 0


@pytest.mark.parametrize("kind", ["fused", "unfused"])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.3, 0.5])
def test_dropout_keeps_the_share_it_should(kind: str, rate: float):
    """The share kept is within five standard errors of 1 - rate, and what is kept is divided by it."""
    stage = stage_of(kind, rate)
    kept = np.array([drop(stage, number).float().mean() for number in range(20)])
    error = np.sqrt(rate * (1 - rate) / 2_000_000)
    assert abs(kept.mean() - (1 - rate)) < 5 * error
    passing = Pass(PassContext(training=True))
    values = stage.forward([torch.ones(10, 10)], passing)
    assert values.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])
    assert torch.equal(stage.backward(torch.ones(10, 10), passing, needs_input_gradient=True)[0], values)
    assert torch.equal(stage.forward([torch.ones(3, 3)], Pass(PassContext(training=False))), torch.ones(3, 3))


@pytest.mark.parametrize("kind", ["fused", "unfused"])
def test_masks_are_independent(kind: str):
    """Masks of other steps, layers and seeds agree as often as chance has it; of the same step they are the same."""
    stage, other = stage_of(kind, 0.5), stage_of(kind, 0.5, index=1)
    mask = drop(stage, 4)
    assert torch.equal(mask, drop(stage, 4))
    error = 0.5 / np.sqrt(mask.numel())
    for different in (drop(stage, 5), drop(other, 4), drop(stage, 4, seed=1)):
        assert abs(float((mask == different).float().mean()) - 0.5) < 5 * error
    neighbours = (mask[:, 1:] == mask[:, :-1]).float().mean()
    assert abs(float(neighbours) - 0.5) < 5 * error
    for neighbours in (mask[:, 1:] == mask[:, :-1], mask[1:] == mask[:-1]):
        assert abs(float(neighbours.float().mean()) - 0.5) < 5 * error


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_with_and_without_numba_the_masks_are_the_same(rate: float):
    """The extra `fast` changes the speed, not what is trained."""
    assert torch.equal(drop(stage_of("fused", rate, 3), 7, 1), drop(stage_of("unfused", rate, 3), 7, 1))


def test_nan_is_not_lost_in_a_pool():
    """A diverged network shows it: NaN is the maximum of any window it is in."""
    values = torch.zeros(1, 4, 4, 2)
    values[0, 1, 1, 1] = torch.nan
    output = EpilogueStage(EpilogueSpec(window=PoolWindow(2, 2, 0, 0), output_sides=(2, 2), slope=0.0), None).forward(
        [values], Pass(PassContext(training=True))
    )
    assert torch.isnan(output).nonzero().tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("kind", ["fused", "unfused"])
def test_batch_normalisation_keeps_its_digits(kind: str):
    """Over 20,000 rows that lie far from zero, output and gradients are those of float64 to 1e-5."""
    layer = layers.BatchNormalization(gamma_initializer="random_normal", beta_initializer="random_normal")
    layer.build((None, 25, 25, 4))
    parameters = Parameters(torch.float32)
    made = BatchNormalizationStage(layer, parameters)
    stage: Any = NormalizedEpilogueStage(layer, EpilogueSpec(), parameters) if kind == "fused" else made
    draw = torch.Generator().manual_seed(3)
    values, arriving = (torch.randn(32, 25, 25, 4, generator=draw) for _ in range(2))
    values += 3
    exact = values.double().requires_grad_()
    gamma, beta = (p.master.double().requires_grad_() for p in (made.gamma, made.beta) if p)
    variance, mean = torch.var_mean(exact, (0, 1, 2), correction=0)
    expected = (exact - mean) / (variance + layer.epsilon).sqrt() * gamma + beta
    expected.backward(arriving.double())
    passing = Pass(PassContext(training=True))
    with torch.no_grad():
        found = [stage.forward([values], passing), stage.backward(arriving, passing, needs_input_gradient=True)[0]]
        found += [passing.gradients[parameter] for parameter in stage.parameters]
    for ours, theirs in zip(found, (expected, exact.grad, gamma.grad, beta.grad), strict=True):
        assert theirs is not None
        assert float((ours - theirs.detach()).norm() / theirs.detach().norm()) < 1e-5
