import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.explanation.gradcam import gradcam, hirescam
from eyespot.explanation.inside import feature_maps
from eyespot.explanation.network import Network, _last_uses
from eyespot.models.architectures import ARCHITECTURES, build

layers = keras.layers


def pictures(shape: tuple[int, ...], count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)


def said(model: keras.Model, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return keras.ops.convert_to_numpy(model(images, training=False))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_logits_are_the_models_own(name: str, channels: int):
    """Of every architecture, grey and colour: softmax of the logits is what the model gives; it is left as it was."""
    images = pictures((28, 28, channels))
    model = build(name, (28, 28, channels), 5)
    expected = said(model, images)
    network = Network(model)
    np.testing.assert_allclose(network.probabilities(images), expected, atol=1e-5)
    assert network.logits(images).max() != expected.max()
    np.testing.assert_array_equal(said(model, images), expected)


def test_large_images_are_run_a_few_at_a_time():
    """Logits of images one after the other are those of all at once, and no value stays that nothing needs any more."""
    images, model = pictures((300, 500, 3)), build("cnn", (300, 500, 3), 4)
    network = Network(model)
    assert network.batch == 1
    assert Network(build("cnn", (8, 8, 1), 4)).batch == 64
    np.testing.assert_allclose(network.probabilities(images), said(model, images), atol=1e-5)
    places = {id(call.output): place for place, call in enumerate(network.calls)}
    for place, done in enumerate(_last_uses(network.calls)):
        assert all(places.get(value, -1) < place for value in done)
        later = {id(value) for call in network.calls[place + 1 :] for value in call.inputs}
        assert not later & done
    assert sum(map(len, _last_uses(network.calls))) == len(network.calls)  # each value but the last, and the pixels


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_gradient_reaches_the_pixels_of_every_architecture(name: str):
    """Though pixels are uint8: what goes in are the same levels as floating-point numbers."""
    network = Network(build(name, (28, 28, 1), 5))
    pixels = network.pixels(pictures((28, 28, 1)), gradient=True)
    slopes = network.gradient(network.values(pixels)[-1], np.array([0, 1, 2], np.int64), pixels)
    assert (slopes.flatten(1).abs().max(dim=1).values > 0).all()


def own(kind: str) -> keras.Model:
    pixels = keras.Input((8, 8, 3), dtype="float32" if kind == "float" else "uint8")
    value = keras.ops.cast(pixels, "float32") / 255
    if kind == "channels first":
        value = layers.Conv2D(4, 3, data_format="channels_first")(layers.Permute((3, 1, 2))(value))
    elif kind == "branches":
        left = layers.Conv2D(4, 3, padding="same")(value)
        value = layers.Add()([left, layers.SeparableConv2D(4, 3, padding="same")(value)])
    elif kind == "inner":
        value = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu")])(value)
    else:
        value = layers.Conv2D(4, 3, activation="relu")(value)
    logits = layers.Dense(3)(layers.Flatten()(value))
    return keras.Model(
        pixels, layers.Softmax()(logits) if kind != "activation" else layers.Activation("softmax")(logits)
    )


@pytest.mark.parametrize("kind", ["float", "channels first", "branches", "inner", "activation"])
def test_models_of_ones_own_are_taken_apart_too(kind: str):
    """Softmax as a layer of its own, channels first, branches, models in models: logits, CAMs and feature maps."""
    model, images = own(kind), pictures((8, 8, 3))
    network = Network(model)
    np.testing.assert_allclose(network.probabilities(images), said(model, images), atol=1e-5)
    labels = np.array([0, 1, 2], np.int64)
    for found in (gradcam(network, images, labels), hirescam(network, images, labels)):
        assert found.shape == (3, 8, 8)
        assert (found >= 0).all()
    shapes = [value.value.shape for value in feature_maps(network, images[0])]
    assert (6, 6, 4) in shapes or (8, 8, 4) in shapes
    assert shapes[-1] == (3,)


def test_a_model_that_rounds_is_told():
    """A comparison lets no gradient through; the sentence says so."""
    pixels = keras.Input((4, 4, 1), dtype="uint8")
    value = keras.ops.cast(keras.ops.cast(pixels, "float32") > 100, "float32")
    network = Network(keras.Model(pixels, layers.Dense(2, activation="softmax")(layers.Flatten()(value))))
    start = network.pixels(pictures((4, 4, 1)), gradient=True)
    with pytest.raises(ModelError, match="rounds or compares"):
        network.gradient(network.values(start)[-1], np.zeros(3, np.int64), start)


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        ([keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(2, "softmax")], "any size"),
        ([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1, "sigmoid")], "must end in softmax"),
        ([layers.Flatten(), layers.Dense(2, "softmax")], "must be a built"),
    ],
)
def test_what_cannot_be_explained_is_told_in_a_sentence(stack: list[keras.Layer], told: str):
    """Pictures of any size, no softmax at the end, a model that is not built."""
    with pytest.raises(ModelError, match=told):
        Network(keras.Sequential(stack))


def test_pictures_of_another_size_are_refused():
    """The sentence names both sizes."""
    network = Network(build("mlp", (8, 8, 1), 3))
    with pytest.raises(ModelError, match=r"\(8, 8, 1\); these are \(9, 8, 1\)"):
        network.logits(pictures((9, 8, 1)))
