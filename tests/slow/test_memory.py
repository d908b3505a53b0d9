"""Training on more pictures than fit into memory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="how much memory a process has is asked of Linux"
    ),
]

PICTURES, SIDE = 65_536, 128  # 1 GiB of pixels
ALLOWED = 100  # MiB beyond what the process has when it begins: a tenth of the pixels
FIRST = 2_048  # pictures of a first training, after which a process has the buffers of its batches

MODEL = """
import keras
def pooled(input_shape, classes):
    layers = keras.layers
    return keras.Sequential([
        keras.Input(input_shape, dtype="uint8"), layers.Rescaling(1 / 255), layers.AveragePooling2D(16),
        layers.Flatten(), layers.Dense(classes, activation="softmax"),
    ])
"""
TRAIN = """
import json, re, resource, sys
from pathlib import Path
import numpy as np
import eyespot
source, model, allowed, hoards = sys.argv[1], sys.argv[2], int(sys.argv[3]) << 20, sys.argv[4] == "hoards"
# What libraries, their threads and a batch take, they have taken after a first training.
images = np.random.default_rng(0).integers(0, 256, (int(sys.argv[5]), 128, 128, 1), dtype=np.uint8)
first = eyespot.Dataset("first", ("0", "1"), eyespot.Split(images, np.arange(len(images)) % 2))
options = {"epochs": 1, "batch_size": 64, "precision": "float32", "model": model}
eyespot.train(first, output="first", **options)
del first, images
used = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + allowed, used + allowed))
if hoards:
    copied = np.array(eyespot.load(source).train.images)
done = eyespot.train(source, output="second", **options)
sys.stderr.write("\\ntrained " + json.dumps({"epochs": len(done.outcome.history)}))
"""


def trained(folder: Path, mode: str) -> subprocess.CompletedProcess[str]:
    told = (folder / "data", f"{folder / 'model.py'}:pooled", ALLOWED, mode, FIRST)
    command = [sys.executable, "-c", TRAIN, *map(str, told)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Half dark and half light pictures, in a file that is mostly holes."""
    (tmp_path / "data").mkdir()
    shape = (PICTURES, SIDE, SIDE, 1)
    images = np.lib.format.open_memmap(tmp_path / "data" / "x_train.npy", "w+", np.uint8, shape)
    labels = np.arange(PICTURES) % 2
    for row in np.flatnonzero(labels)[::64]:
        images[row] = 200
    images.flush()
    np.save(tmp_path / "data" / "y_train.npy", labels)
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return tmp_path


def test_a_dataset_ten_times_the_memory_trains_within_it(large: Path):
    """1 GiB of pictures is learnt, judged and audited with 100 MiB to spare, since it is mapped."""
    done = trained(large, "maps")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stderr.rpartition("trained ")[2]) == {"epochs": 1}


def test_the_limit_would_tell(large: Path):
    """A training that copies the pictures into memory is stopped by it."""
    done = trained(large, "hoards")
    assert done.returncode != 0
    assert "MemoryError" in done.stderr or "Unable to allocate" in done.stderr
