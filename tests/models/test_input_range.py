from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.models.input_range import Scaling, as_input, fits_reshaped, scalings, told_by_first_layers, with_scaling
from eyespot.models.loading import takes_raw_pixels
from tests.conftest import make_split

layers = keras.layers
SHAPE = (8, 8, 1)
IMAGES = np.asarray(make_split(30, seed=3).images)
KNOWN = scalings(IMAGES)


def model_of(*front: Any, shape: tuple[int, ...] = SHAPE) -> keras.Model:
    learns = [layers.Flatten(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input(shape), *front, *learns])


def adapted(name: str) -> keras.layers.Normalization:
    layer = layers.Normalization()
    layer.adapt(KNOWN[name](IMAGES))
    return layer


def functional(rescale: Callable[[Any], Any]) -> keras.Model:
    pixels = keras.Input(SHAPE)
    return keras.Model(pixels, layers.Dense(3, activation="softmax")(layers.Flatten()(rescale(pixels))))


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255), layers.Conv2D(2, 3)])
    return model_of(inner)


def normalized(name: str, steps: int) -> keras.Model:
    """A convolution and a batch normalization that has seen images in a range for so many steps."""
    model = model_of(layers.Conv2D(4, 3), layers.BatchNormalization(momentum=0.9))
    for _ in range(steps):
        model(KNOWN[name](IMAGES), training=True)
    return model


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: model_of(layers.Rescaling(1 / 255)), "0-255"),
        (lambda: model_of(layers.Rescaling(1 / 127.5, -1)), "0-255"),
        (lambda: model_of(layers.Rescaling(2.0, -1)), "0-1"),
        (lambda: model_of(layers.Rescaling(255.0)), "0-1"),
        (lambda: model_of(layers.Flatten(), layers.Rescaling(1 / 255)), "0-255"),
        (lambda: model_of(layers.Resizing(4, 4), layers.Rescaling(1 / 255)), "0-255"),
        (lambda: model_of(layers.Lambda(lambda x: x / 255)), "0-255"),
        (lambda: functional(lambda x: x / 255.0), "0-255"),
        (lambda: functional(lambda x: keras.ops.multiply(x, 2.0) - 1.0), "0-1"),
        (nested, "0-255"),
        *((lambda name=name: model_of(adapted(name)), name) for name in KNOWN),
        *((lambda name=name: normalized(name, 100), name) for name in KNOWN),
        *((lambda name=name: normalized(name, 10), name) for name in KNOWN),
        (lambda: model_of(layers.Normalization()), None),
        (lambda: model_of(layers.BatchNormalization()), None),
        (lambda: model_of(layers.MaxPooling2D()), None),
        (lambda: model_of(layers.Conv2D(2, 3), layers.Rescaling(1 / 255)), None),
        (model_of, None),
    ],
)
def test_first_layers_tell_the_range(make: Callable[[], keras.Model], told: str | None):
    """Rescaling, normalization, arithmetic and moving statistics say which pixels a model was made for."""
    assert told_by_first_layers(make(), IMAGES, KNOWN) == told


def test_rescaling_behind_the_weights_is_none():
    """A temperature at a model's end does not make pixels of 0-255 fit."""
    behind = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(3), layers.Rescaling(0.5), layers.Softmax()]
    )
    assert not takes_raw_pixels(behind)
    assert takes_raw_pixels(model_of(layers.Rescaling(1 / 255)))
    assert takes_raw_pixels(model_of(adapted("0-255")))


def test_standardised_is_by_channel():
    """Each channel of the training images ends with mean 0 and standard deviation 1; a constant one is not divided."""
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3)).astype(np.uint8)
    images[..., 1] //= 4
    found = scalings(images)["standardised"](images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1, atol=1e-5)
    flat = np.full((3, 2, 2, 1), 7, np.uint8)
    assert not scalings(flat)["standardised"](flat).any()


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("shape", [SHAPE, (8, 8), (64,)])
@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_the_range_goes_inside(name: str, shape: tuple[int, ...], kind: str):
    """With its scaling inside, a model gives for raw pixels what it gave for rescaled ones, by the same layers."""
    model = model_of(shape=shape) if len(shape) < 3 else model_of(layers.Conv2D(2, 3), layers.BatchNormalization())
    if kind == "Functional":
        model = keras.Model(model.inputs[0], model.outputs[0])
    expected = keras.ops.convert_to_numpy(model(as_input(model, KNOWN[name](IMAGES))))
    ready = with_scaling(model, KNOWN[name], SHAPE)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ready(IMAGES)), expected, atol=1e-5)
    kinds = [type(layer).__name__ for layer in ready.layers]
    front = [] if name == "0-255" else ["Rescaling"]
    front += [] if shape == SHAPE else ["Reshape"]
    body = [type(layer).__name__ for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    assert [kind for kind in kinds if kind != "InputLayer"] == [*front, *body]
    assert ready.weights == model.weights


def test_the_model_inside_a_model_stays_one():
    """A backbone inside a model keeps its place and its name, though a layer of the name that is put before it has."""
    inner = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 3, name="pixel_range")], name="backbone")
    model = model_of(layers.Identity(name="pixel_range"), inner)
    ready = with_scaling(model, Scaling(1 / 255), SHAPE)
    assert ready.get_layer("backbone") is inner
    assert ready.layers[1].name == "pixel_range_2"


def test_which_shapes_fit():
    """Flat images, and grey ones without channels, are the same numbers in the same order; others are not."""
    assert fits_reshaped((64,), SHAPE)
    assert fits_reshaped((8, 8), SHAPE)
    assert fits_reshaped((192,), (8, 8, 3))
    assert not fits_reshaped((8, 8), (8, 8, 3))
    assert not fits_reshaped((3, 8, 8), (8, 8, 3))
