import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.errors import ModelError
from eyespot.models.architectures import ARCHITECTURES, build
from eyespot.models.cost import multiply_adds

PUBLISHED = {
    "fashion-cnn": 356_234,
    "fashion-cnn-dropout": 356_234,
    "mnist-mlp": 669_706,
    "mnist-cnn-two-conv": 242_062,
    "mnist-cnn-two-conv-as-printed": 57_742,
}


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_the_tutorials_parameter_counts(name: str, parameters: int):
    """Each tutorial network has the number of parameters its tutorial prints."""
    assert build(name, (28, 28, 1), 10).count_params() == parameters


def test_the_summary_shows_the_published_count():
    """The summary of the tutorial CNN says 356,234."""
    lines: list[str] = []
    build("fashion-cnn", (28, 28, 1), 10).summary(print_fn=lines.append)
    assert "356,234" in "\n".join(lines)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("shape", "classes"), [((28, 28, 1), 10), ((33, 20, 3), 7), ((8, 8, 1), 2)])
def test_every_model_takes_raw_pixels_of_any_size(name: str, shape: tuple[int, int, int], classes: int):
    """Each architecture takes `uint8` pixels of any size and channels and gives probabilities for any class count."""
    model = build(name, shape, classes)
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(np.uint8)
    probabilities = keras.ops.convert_to_numpy(model(pixels))
    assert probabilities.shape == (3, classes)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_pixels_are_rescaled_inside():
    """A model given bytes computes what its layers after the rescaling compute from the same pixels over 255."""
    model = build("mnist-cnn-small", (8, 8, 1), 3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    scaled = pixels.astype(np.float32) / 255
    for layer in model.layers[1:]:
        scaled = layer(scaled)
    assert keras.ops.convert_to_numpy(model(pixels)) == pytest.approx(keras.ops.convert_to_numpy(scaled), abs=1e-6)


def test_the_seed_draws_the_weights():
    """The same seed gives the same weights, another one others."""
    first, again, other = (build("mlp", (4, 4, 1), 2, seed).get_weights()[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_model_is_told():
    """A misspelt name is answered with the nearest."""
    with pytest.raises(ModelError, match="Did you mean 'fashion-cnn'"):
        build("fashion_cnn", (28, 28, 1), 10)


def test_a_picture_too_small_is_told():
    """A network that pools an image away says so instead of failing inside Keras."""
    with pytest.raises(ModelError, match="mnist-cnn-two-conv-as-printed cannot take images of 4x4x1"):
        build("mnist-cnn-two-conv-as-printed", (4, 4, 1), 10)


def test_multiply_adds_are_counted_by_hand():
    """Convolution: outputs x kernel x inputs; depthwise: outputs x kernel; dense: inputs x outputs."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same"),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            layers.Conv2D(4, 1, groups=4),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    by_hand = 8 * 8 * 4 * 9 * 3 + 8 * 8 * 8 * 9 + 8 * 8 * 4 * 2 + 256 * 5
    assert multiply_adds(model) == by_hand
