"""Deletion curves of the maps beside random maps, on real pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eyespot import load, train
from eyespot.explanation.maps import MAP_METHODS, deletion, explain_images
from eyespot.explanation.network import Network
from eyespot.explanation.occlusion import plain_background
from eyespot.recipe.schema import Recipe
from tests.conftest import needs_real_data

pytestmark = pytest.mark.slow

PICTURES, JUDGED, CELL = 12_000, 200, 4
POOLED = [
    {"layer": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"layer": "MaxPooling2D"},
    {"layer": "Conv2D", "filters": 64, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"layer": "MaxPooling2D"},
    {"layer": "Conv2D", "filters": 64, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"layer": "GlobalAveragePooling2D"},
    {"layer": "Dense", "units": "classes", "activation": "softmax"},
]


def areas_of(model: dict[str, object], folder: Path, epochs: int, tell: Callable[[str], None]) -> dict[str, float]:
    """Trains a model on 12,000 pictures, and gives the mean area under the deletion curve by map, over 200 others.

    Chance is a random number a pixel, and a random number a square of 4x4, which is about as coarse as a CAM.
    """
    whole = load("fashion-mnist")
    part = replace(whole, train=whole.train.take(np.arange(PICTURES)))
    values = {"model": model, "training": {"epochs": epochs, "seed": 1, "precision": "float32"}}
    done = train(part, Recipe.parse(values), folder)
    network = Network(done.run.model())
    assert whole.test
    assert done.test
    generator = np.random.default_rng(1)
    rows = np.sort(generator.permutation(len(whole.test))[:JUDGED])
    images = np.asarray(whole.test.images[rows])
    labels = network.logits(images).argmax(axis=1)
    background = plain_background(images)
    pictures = explain_images(network, images, labels).pictures
    maps: dict[str, np.ndarray] = {method: np.stack([one.maps[method] for one in pictures]) for method in MAP_METHODS}
    maps["random pixels"] = generator.random(images.shape[:3]).astype(np.float32)
    cells = generator.random((JUDGED, 28 // CELL, 28 // CELL)).astype(np.float32)
    maps["random squares"] = cells.repeat(CELL, axis=1).repeat(CELL, axis=2)
    means = {}
    tell(f"{network.name}, accuracy {done.test.accuracy:.2%}:")
    for name, found in maps.items():
        pairs = zip(images, labels, found, background, strict=True)
        each = [deletion(network, image, int(label), one, level).area for image, label, one, level in pairs]
        means[name] = float(np.mean(each))
        tell(f"  {name}: {means[name]:.3f} ± {1.96 * np.std(each, ddof=1) / JUDGED**0.5:.3f}")
    return means


@needs_real_data
def test_maps_beat_random_maps_on_clothes(tmp_path: Path, tell: Callable[[str], None]):
    """As the pixels go that a map names first, a class goes sooner than by chance; Grad-CAM is told, and not judged.

    The default network ends in dense layers, which tell places apart: the mean gradient says little of them, and it was
    no better than random pixels (0.437 and 0.390).
    """
    found = areas_of({"name": "cnn"}, tmp_path / "run", 2, tell)
    for method in ("hirescam", "occlusion", "integrated-gradients"):
        assert found[method] < min(found["random pixels"], found["random squares"]), method


@needs_real_data
def test_before_an_average_both_cams_are_one(tmp_path: Path, tell: Callable[[str], None]):
    """A network that ends in a global average: the CAMs have the same area; the maps of single pixels beat chance.

    The CAMs are told, and not judged: here they were no better than random pixels (0.391 and 0.385).
    """
    found = areas_of({"layers": POOLED}, tmp_path / "run", 4, tell)
    assert abs(found["gradcam"] - found["hirescam"]) < 0.01
    for method in ("occlusion", "integrated-gradients"):
        assert found[method] < min(found["random pixels"], found["random squares"]), method
