import random
from pathlib import Path

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.models.architectures import ARCHITECTURES, build
from eyespot.models.cnn import cnn
from eyespot.models.fresh import with_fresh_weights
from eyespot.models.pixels import Shape
from eyespot.models.transfer import continue_from

SHAPE = (8, 8, 1)


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_weights_are_a_function_of_the_seed_alone(monkeypatch: pytest.MonkeyPatch):
    """What else draws from Python's global generator while a model is built changes nothing; another seed changes all.

    Beartype does, for one, wherever it checks the items of a list.
    """

    def disturbed(input_shape: Shape, classes: int) -> keras.Model:
        random.getrandbits(32)
        return cnn(input_shape, classes)

    first = build("cnn", SHAPE, 3, seed=4)
    monkeypatch.setitem(ARCHITECTURES, "cnn", disturbed)
    assert same(first, build("cnn", SHAPE, 3, seed=4))
    other = build("cnn", SHAPE, 3, seed=5)
    kernels = [(a, b) for a, b in zip(first.get_weights(), other.get_weights(), strict=True) if a.ndim > 1]
    assert kernels
    assert not any(np.array_equal(a, b) for a, b in kernels)


def test_layers_of_one_shape_differ():
    """Each layer has a stream of its own."""
    dense = [keras.layers.Dense(4, name=name) for name in ("one", "other")]
    model = with_fresh_weights(keras.Sequential([keras.Input((4,)), *dense]), 1)
    assert not np.array_equal(model.get_layer("one").kernel, model.get_layer("other").kernel)


def test_a_seed_of_its_own_is_kept():
    """An initializer that was given a seed keeps it, and neither draws nor saves ours."""
    given = keras.layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(seed=7))
    model = keras.Sequential([keras.Input((4,)), given, keras.layers.Dense(4)])
    fresh = with_fresh_weights(model, 1)
    assert np.array_equal(fresh.layers[0].kernel, model.layers[0].kernel)
    assert fresh.get_config() == model.get_config()


def test_a_saved_model_is_drawn_anew_by_seed(tmp_path: Path):
    """A `.keras` file gives its architecture; the weights come from the run's seed."""
    path = str(tmp_path / "own.keras")
    build("mlp", SHAPE, 3, seed=1).save(path)
    assert same(build(path, SHAPE, 3, seed=1), build(path, SHAPE, 3, seed=1))
    assert not same(build(path, SHAPE, 3, seed=1), build(path, SHAPE, 3, seed=2))


def test_a_new_head_is_drawn_by_seed():
    """The new head of a model that is continued is a function of the seed."""
    trained = build("mlp", SHAPE, 3)
    heads = [
        continue_from(trained, "t", SHAPE, 5, new_head=True, freeze=False, seed=seed).layers[-1].kernel.numpy()
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])
