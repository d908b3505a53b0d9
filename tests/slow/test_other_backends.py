"""What the engine has trained is a plain Keras model, also where Keras runs on another library."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eyespot import train
from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.recipe.schema import Recipe

pytestmark = pytest.mark.slow

# The interpreter of an environment with the other libraries, where this one lacks them: pip install -e ".[bench]".
PYTHON = os.environ.get("EYESPOT_PEERS_PYTHON", sys.executable)
PREDICT = """
import sys
import keras, numpy as np
assert keras.config.backend() == sys.argv[1]
model = keras.saving.load_model(sys.argv[2])
pictures = np.load(sys.argv[3])
np.save(sys.argv[4], model.predict(pictures, verbose=0))
# Keras on PyTorch writes its own subclass of an optimizer into the file, which no other library can use.
model.compile("adam", loss="sparse_categorical_crossentropy")
model.fit(pictures, np.zeros(len(pictures)), verbose=0)
"""


def own_model(folder: Path) -> Path:
    """Layers whose padding, statistics and order of values differ between libraries, unless a file says them all."""
    layers = keras.layers
    pixels = keras.Input((8, 8, 1), dtype="uint8")
    start = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    wide = layers.Conv2D(6, 2, strides=2, padding="same", use_bias=False)(start)
    wide = layers.ReLU(6.0)(layers.BatchNormalization()(wide))
    side = layers.SeparableConv2D(6, 3, padding="same", activation="hard_silu")(layers.Dropout(0.2)(wide))
    joined = layers.Concatenate()([layers.Add()([side, wide]), layers.DepthwiseConv2D(3, padding="same")(wide)])
    flat = layers.Flatten()(layers.MaxPooling2D(3, strides=2, padding="same")(joined) * 0.5)
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(flat))
    model.save(folder / "own.keras")
    return folder / "own.keras"


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("name", ["cnn", "own"])
def test_a_trained_model_opens_in_plain_keras_elsewhere(name: str, backend: str, bars: Dataset, tmp_path: Path):
    """model.keras of a run opens without eyespot on TensorFlow and on JAX, predicts the same to 1e-5, and learns on."""
    found = subprocess.run([PYTHON, "-c", f"import keras, {backend}"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"{PYTHON} has no Keras with {backend}: set EYESPOT_PEERS_PYTHON to one that has")
    start = str(own_model(tmp_path)) if name == "own" else name
    recipe = Recipe.parse({"model": {"name": start}, "training": {"epochs": 3, "engine": "eyespot"}})
    run = train(bars, recipe, tmp_path / "run").run
    pictures = bars.test.images if bars.test else bars.train.images
    np.save(tmp_path / "pictures.npy", pictures)
    arguments = [backend, *map(str, (run.file("model.keras"), tmp_path / "pictures.npy", tmp_path / "theirs.npy"))]
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
    subprocess.run([PYTHON, "-c", PREDICT, *arguments], check=True, env=environment, cwd=tmp_path)
    ours = keras.ops.convert_to_numpy(run.model()(pictures, training=False))
    assert np.abs(np.load(tmp_path / "theirs.npy") - ours).max() < 1e-5
    assert np.abs(run.predictor().probabilities(pictures) - ours).max() < 1e-5
