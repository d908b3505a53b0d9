"""Deletion curves of the maps beside random maps, on real pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eyespot import load, train
from eyespot.explanation.background import plain_background
from eyespot.explanation.deletion import deletion
from eyespot.explanation.maps import MAP_METHODS, explain_images
from eyespot.explanation.network import Network
from eyespot.recipe import Recipe
from tests.conftest import needs_real_data

pytestmark = pytest.mark.slow

PICTURES, JUDGED, CELL = 12_000, 200, 4


@needs_real_data
def test_maps_beat_random_maps_on_clothes(tmp_path: Path, tell: Callable[[str], None]):
    """Two epochs on 12,000 pictures: as the pixels go that a map names first, a class goes sooner than by chance.

    Chance is a random number a pixel, and a random number a square of 4x4, which is about as coarse as a CAM: Grad-CAM
    must beat the first only, the others both.
    """
    whole = load("fashion-mnist")
    part = replace(whole, train=whole.train.take(np.arange(PICTURES)))
    recipe = Recipe.parse({"model": {"name": "cnn"}, "training": {"epochs": 2, "seed": 1, "precision": "float32"}})
    network = Network(train(part, recipe, tmp_path / "run").run.model())
    assert whole.test
    generator = np.random.default_rng(1)
    rows = np.sort(generator.permutation(len(whole.test))[:JUDGED])
    images = np.asarray(whole.test.images[rows])
    labels = network.logits(images).argmax(axis=1)
    background = plain_background(images)
    pictures = explain_images(network, images, labels).pictures
    maps = {method: np.stack([one.maps[method] for one in pictures]) for method in MAP_METHODS}
    maps["random pixels"] = generator.random(images.shape[:3]).astype(np.float32)
    cells = generator.random((JUDGED, 28 // CELL, 28 // CELL)).astype(np.float32)
    maps["random squares"] = cells.repeat(CELL, axis=1).repeat(CELL, axis=2)
    areas = {
        name: np.array([
            deletion(network, image, int(label), one, level).area
            for image, label, one, level in zip(images, labels, found, background, strict=True)
        ])
        for name, found in maps.items()
    }  # fmt: skip
    for name, each in areas.items():
        tell(f"{name}: {each.mean():.3f} ± {1.96 * each.std(ddof=1) / JUDGED**0.5:.3f}")
    assert areas["gradcam"].mean() < areas["random pixels"].mean()
    for method in ("hirescam", "occlusion", "integrated-gradients"):
        assert areas[method].mean() < min(areas["random pixels"].mean(), areas["random squares"].mean()), method
