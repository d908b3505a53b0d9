from typing import Any

import numpy as np
import pytest

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, RowView
from eyespot.errors import ModelError
from eyespot.explanation.inside import feature_maps, find_nearest, first_filters
from eyespot.explanation.network import Network
from eyespot.models.architectures import build
from eyespot.run import Run

layers = keras.layers


def test_feature_maps_are_what_each_layer_gives(bars: Dataset):
    """In order, without dropout and flatten, which change no number; the last are the logits."""
    model = build("fashion-cnn-dropout", (8, 8, 1), 3)
    image = np.asarray(bars.train.images[0])
    network = Network(model)
    found = feature_maps(network, image)
    kinds = [value.kind for value in found]
    assert "Dropout" not in kinds
    assert "Flatten" not in kinds
    assert kinds[:2] == ["Rescaling", "Conv2D"]
    np.testing.assert_allclose(found[0].value, image / np.float32(255), rtol=1e-6)
    np.testing.assert_allclose(found[-1].value, network.logits(image[None])[0], rtol=1e-4, atol=1e-5)
    begun = keras.Model(model.inputs[0], model.get_layer(found[1].layer).output)
    expected = keras.ops.convert_to_numpy(begun(keras.ops.convert_to_tensor(image[None])))
    np.testing.assert_allclose(found[1].value, expected[0], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_are_the_first_layers_weights(channels: int):
    """A kernel a picture of a convolution; a unit a picture of a dense layer, which gives the same product."""
    model = build("cnn", (16, 16, channels), 3)
    found = first_filters(Network(model))
    kernel = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D)).get_weights()[0]
    assert found.kernels.shape == (32, 3, 3, channels)
    np.testing.assert_array_equal(found.kernels[5], kernel[..., 5])
    dense = build("mlp", (6, 5, channels), 3)
    found = first_filters(Network(dense))
    image = np.random.default_rng(0).random((6, 5, channels)).astype(np.float32)
    first = next(layer for layer in dense.layers if isinstance(layer, layers.Dense)).get_weights()[0]
    np.testing.assert_allclose((found.kernels * image).sum(axis=(1, 2, 3)), image.ravel() @ first, rtol=1e-4, atol=1e-4)


def test_a_layer_that_does_not_see_pixels_has_no_filters():
    """A dense layer behind something else than the pixels in order is not drawn as if it were."""
    model = keras.Sequential([
        keras.Input((4, 4, 1)), layers.Permute((2, 1, 3)), layers.Flatten(), layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    with pytest.raises(ModelError, match="neither a convolution nor a dense layer"):
        first_filters(Network(model))


def test_a_training_picture_is_its_own_nearest(run: Run, bars: Dataset):
    """With a similarity of 1, also from rows of a memory map, and whatever the order they are read in."""
    features = run.predictor().features
    images = np.asarray(bars.train.images[[3, 70, 119]])
    rows = RowView(np.asarray(bars.train.images), np.arange(len(bars.train))[::-1].copy())
    found = find_nearest(features, images, bars.train.images, 4)
    turned = find_nearest(features, images, rows, 4)
    assert found.rows[:, 0].tolist() == [3, 70, 119]
    assert turned.rows[:, 0].tolist() == [116, 49, 0]
    np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-6)
    np.testing.assert_allclose(found.similarities, turned.similarities, atol=1e-6)


def test_near_pictures_are_the_same_however_they_are_read():
    """Over several chunks the nearest are those of one large product; progress is told to the end."""
    generator = np.random.default_rng(0)
    among = generator.integers(0, 256, (700, 3, 3, 1)).astype(np.uint8)
    images = among[[1, 600]]
    told: list[Any] = []

    def features(part: np.ndarray) -> np.ndarray:
        return part.reshape(len(part), -1).astype(np.float32) - 100

    found = find_nearest(features, images, among, 5, told.append)
    unit = features(among) / np.linalg.norm(features(among), axis=1, keepdims=True)
    cosines = unit[[1, 600]] @ unit.T
    assert found.rows.tolist() == np.argsort(-cosines, axis=1, kind="stable")[:, :5].tolist()
    assert told == [256, 512, 700]
    assert find_nearest(features, images, among[:3], 5).rows.shape == (2, 3)


def test_a_picture_without_features_is_like_nothing():
    """All zeros have no direction: the similarity is 0, and no number is lost."""
    zeros = np.zeros((2, 2, 2, 1), np.uint8)
    found = find_nearest(lambda part: part.reshape(len(part), -1).astype(np.float32), zeros[:1], zeros, 2)
    assert found.similarities.tolist() == [[0, 0]]
