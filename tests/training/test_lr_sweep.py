import math
from typing import Any

import numpy as np
import pytest
import torch

from eyespot.data.dataset import Dataset, Split
from eyespot.models.architectures import build
from eyespot.recipe.schema import TrainingRecipe
from eyespot.training.fit import order_of
from eyespot.training.lr_finder import RateCurve
from eyespot.training.lr_sweep import sweep
from eyespot.training.program import EngineProgram, KerasProgram

RATES = np.geomspace(1e-5, 10, 60)
RECIPE = TrainingRecipe(learning_rate=1e-5, optimizer="adam", precision="float32")


def program(bars: Dataset, kind: type[Any], recipe: TrainingRecipe = RECIPE) -> Any:
    model = build("mlp", bars.input_shape, bars.classes, seed=0)
    extra = (torch.float32,) if kind is EngineProgram else ()
    return kind(model, recipe, recipe.steps_for(len(bars.train)), *extra)


def swept(bars: Dataset, kind: type[Any] = EngineProgram, recipe: TrainingRecipe = RECIPE) -> RateCurve:
    return sweep(program(bars, kind, recipe), bars.train, recipe, RATES)


@pytest.mark.parametrize("kind", [EngineProgram, KerasProgram])
def test_what_was_trained_is_taken_back(bars: Dataset, kind: type[Any]):
    """Weights and the optimizer's state are bit for bit what they were, its learning rate too."""
    ours = program(bars, kind)
    weights, state = ours.weights(), ours.optimizer_state()
    curve = sweep(ours, bars.train, RECIPE, RATES)
    assert curve.losses.min() < curve.losses[0] / 2
    for before, after in zip([*weights, *state], [*ours.weights(), *ours.optimizer_state()], strict=True):
        assert np.array_equal(before, after)
    assert ours.learning_rate == pytest.approx(1e-5)


def test_it_repeats_and_follows_the_seed(bars: Dataset):
    """The same seed gives the same losses, bit for bit; another gives others."""
    first, again = swept(bars), swept(bars)
    assert np.array_equal(first.losses, again.losses)
    other = swept(bars, recipe=RECIPE.model_copy(update={"seed": 1}))
    assert not np.array_equal(first.losses[:5], other.losses[:5])


def test_each_loss_is_of_its_own_batch(bars: Dataset):
    """The first loss is that of the first batch before any update, with dropout off; the curve has all rates."""
    recipe = RECIPE.model_copy(update={"batch_size": 50})
    model = build("mlp", bars.input_shape, bars.classes, seed=0)
    for layer in model.layers:
        layer.rate = 0.0
    ours = EngineProgram(model, recipe, 3, torch.float32)
    rows = order_of(bars.train, recipe, 1)
    batches = [
        Split(bars.train.images[part], bars.train.labels[part]) for part in (rows[:50], rows[50:100], rows[100:])
    ]
    # At so low a rate all steps are with the weights of the beginning.
    expected = [ours.evaluate(batch).loss for batch in batches]
    curve = sweep(ours, bars.train, recipe, np.geomspace(1e-12, 1e-11, 6))
    assert curve.losses[:3] == pytest.approx(expected, abs=1e-5)
    assert sorted(curve.losses[3:]) != pytest.approx(sorted(expected), abs=1e-5)  # the second epoch has another order
    assert not curve.diverged


def test_engine_and_keras_see_the_same_losses(bars: Dataset):
    """Without dropout both programs have the same curve to 1e-3, until rates are high."""
    recipe = RECIPE.model_copy(update={"optimizer": "sgd"})
    curves = []
    for kind in (EngineProgram, KerasProgram):
        model = build("mlp", bars.input_shape, bars.classes, seed=0)
        for layer in model.layers:
            layer.rate = 0.0
        extra = (torch.float32,) if kind is EngineProgram else ()
        curves.append(sweep(kind(model, recipe, 4, *extra), bars.train, recipe, np.geomspace(1e-5, 0.1, 40)))
    assert curves[0].losses == pytest.approx(curves[1].losses, abs=1e-3)


def test_it_stops_where_the_loss_diverges(bars: Dataset):
    """Rates are left untried once the smoothed loss is far above its minimum."""
    curve = swept(bars)
    assert curve.diverged
    assert len(curve.losses) == len(curve.rates) < len(RATES)
    assert np.isfinite(curve.losses).all()


def test_no_number_at_the_first_step_is_an_empty_curve(bars: Dataset):
    """A network with a weight that is NaN has no curve, and keeps that weight."""
    ours = program(bars, EngineProgram)
    broken = ours.weights()
    broken[0][0, 0] = math.nan
    ours.set_weights(broken)
    curve = sweep(ours, bars.train, RECIPE, RATES)
    assert (len(curve.losses), curve.diverged) == (0, True)
    assert np.isnan(ours.weights()[0][0, 0])
