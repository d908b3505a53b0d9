"""Twenty epochs of the tutorial's best network: as accurate through the engine as through plain Keras."""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eyespot import load, train
from eyespot.models.architectures import build
from eyespot.recipe.schema import Recipe
from tests.conftest import needs_real_data

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("EYESPOT_PEERS_PYTHON", sys.executable)  # with Keras on TensorFlow it takes a third of the time
EPOCHS, BATCH, SEEDS = 20, 64, range(3)
PICTURES = 48_000  # as the tutorial's split leaves them
FIT = """
import json, sys
from pathlib import Path
import keras, numpy as np
folder, seed, epochs, batch = Path(sys.argv[1]), *map(int, sys.argv[2:])
keras.utils.set_random_seed(seed)
model = keras.models.model_from_json((folder / "model.json").read_text())
model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
data = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("x", "y", "x_test", "y_test")}
model.fit(np.array(data["x"]), np.array(data["y"]), batch_size=batch, epochs=epochs, verbose=0)
print(json.dumps(model.evaluate(np.array(data["x_test"]), np.array(data["y_test"]), batch_size=500, verbose=0)[1]))
"""


def by_keras(folder: Path, seed: int) -> float:
    """The test accuracy of plain Keras, on whichever library the other interpreter has."""
    found = subprocess.run([PYTHON, "-c", "import tensorflow"], capture_output=True, check=False)
    environment = {**os.environ, "KERAS_BACKEND": "torch" if found.returncode else "tensorflow"}
    arguments = [str(number) for number in (seed, EPOCHS, BATCH)]
    done = subprocess.run(
        [PYTHON, "-c", FIT, folder, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


@needs_real_data
def test_the_engine_is_as_accurate_as_keras(tmp_path: Path):
    """The mean test accuracy of three seeds differs by less than half a point; this takes half an hour or more."""
    everything = load("fashion-mnist")
    whole = replace(everything, train=everything.train.take(np.arange(PICTURES)))
    assert whole.test
    arrays = {
        "x": whole.train.images,
        "y": whole.train.labels,
        "x_test": whole.test.images,
        "y_test": whole.test.labels,
    }
    for name, array in arrays.items():
        np.save(tmp_path / name, array)
    (tmp_path / "model.json").write_text(build("fashion-cnn-dropout", (28, 28, 1), 10).to_json(), encoding="utf-8")
    ours, theirs = [], []
    for seed in SEEDS:
        recipe = Recipe.parse({
            "model": {"name": "fashion-cnn-dropout"},
            "split": {"method": "none"},
            "training": {"epochs": EPOCHS, "batch_size": BATCH, "seed": seed, "early_stopping": False, "keep": "last"},
        })  # fmt: skip
        training = train(whole, recipe, tmp_path / f"run-{seed}")
        assert training.test
        ours.append(training.test.accuracy)
        theirs.append(by_keras(tmp_path, seed))
        print(f"seed {seed}: the engine {ours[-1]:.4f}, Keras {theirs[-1]:.4f}")  # noqa: T201 - with pytest -s
    assert abs(statistics.mean(ours) - statistics.mean(theirs)) < 0.005
