"""Reading a folder of pictures in batches of 32: eyespot's cache beside Keras's and PyTorch's ways.

Two folders are made: 10,000 PNG files of 28x28 (Fashion-MNIST's test images), and 1,500 JPEG files of 640x480 to be
brought to 64x64. Each peer runs in a process of its own, in an order that turns round: `eyespot.load` and shuffled
batches from the map; `keras.utils.image_dataset_from_directory` (TensorFlow's decoders and threads); a PyTorch
`Dataset` with Pillow behind a `DataLoader` with as many workers as there are cores. Counted is the time from an open
process, its libraries imported, to the last batch of the first epoch, and that of a later one; the cache is empty
before each round. All must give the same number of pictures of the same shape.

    EYESPOT_DATA=… python benchmarks/ingest.py [--rounds 3] [--keras-python PYTHON]    # one that has TensorFlow
    python benchmarks/ingest.py --smoke    # whether it runs: 300 PNG and 8 JPEG files
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness import load_dataset, parse_arguments, run_benchmark
from PIL import Image

from eyespot.data.dataset import Split

BATCH, EPOCHS = 32, 3
PHOTOS, PHOTO_SIZE, PHOTO_SIDE = 1_500, (640, 480), 64

EYESPOT = """
import eyespot
eyespot.load  # is imported with it
def epochs():
    started = time.perf_counter()
    train = eyespot.load(folder, size=(side, side), color=channels == 3, resize="squash").train
    for epoch in range(EPOCHS):
        order, seen = np.random.default_rng(epoch).permutation(len(train)), 0
        for start in range(0, len(order), BATCH):
            batch = train.images[order[start : start + BATCH]]
            seen += len(batch)
        yield seen, batch.shape[1:], started
        started = time.perf_counter()
"""
KERAS = """
import keras
keras.utils.image_dataset_from_directory
def epochs():
    started = time.perf_counter()
    color = "rgb" if channels == 3 else "grayscale"
    dataset = keras.utils.image_dataset_from_directory(
        folder, batch_size=BATCH, image_size=(side, side), color_mode=color, verbose=False
    )
    for epoch in range(EPOCHS):
        seen = 0
        for images, labels in dataset:
            seen += len(images)
        yield seen, tuple(images.shape[1:]), started
        started = time.perf_counter()
"""
TORCH = """
import os, torch
from pathlib import Path
from PIL import Image
class Folder(torch.utils.data.Dataset):
    def __init__(self):
        self.files = sorted(Path(folder).rglob("*.*"))
    def __len__(self):
        return len(self.files)
    def __getitem__(self, row):
        with Image.open(self.files[row]) as picture:
            picture = picture.convert("RGB" if channels == 3 else "L")
            if picture.size != (side, side):
                picture = picture.resize((side, side), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(picture, np.uint8).reshape(side, side, channels))
def epochs():
    started = time.perf_counter()
    loader = torch.utils.data.DataLoader(
        Folder(), BATCH, shuffle=True, num_workers=os.cpu_count(), persistent_workers=True
    )
    for epoch in range(EPOCHS):
        seen = 0
        for batch in loader:
            seen += len(batch)
        yield seen, tuple(batch.shape[1:]), started
        started = time.perf_counter()
"""
MEASURE = """
import json, sys, time
import numpy as np
folder, side, channels, BATCH, EPOCHS = sys.argv[1], *map(int, sys.argv[2:6])
{peer}
times = []
for seen, shape, started in epochs():
    times.append(time.perf_counter() - started)
print(json.dumps({{"seconds": times, "seen": seen, "shape": shape}}))
"""


def write_folders(root: Path, test: Split, photos: int) -> dict[str, tuple[Path, int, int, int]]:
    """Write both folders: the PNG files of a split, and JPEG files.

    Returns:
        Where each is, how many pictures are in it, and the side and channels to bring them to.
    """
    for row in range(len(test)):
        path = root / "png" / str(test.labels[row]) / f"{row:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(test.images[row])[..., 0]).save(path)
    generator = np.random.default_rng(0)
    for row in range(photos):
        path = root / "jpeg" / str(row % 10) / f"{row:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(generator.integers(0, 256, (24, 32, 3)).astype(np.uint8))
        coarse.resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
    return {"png": (root / "png", len(test), 28, 1), "jpeg": (root / "jpeg", photos, PHOTO_SIDE, 3)}


def measure(python: str, peer: str, folder: Path, side: int, channels: int) -> dict[str, Any]:
    """What one peer's process answers."""
    with tempfile.TemporaryDirectory() as cache:
        settings = os.environ | {
            "EYESPOT_CACHE": cache, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }  # fmt: skip
        arguments = [str(value) for value in (folder, side, channels, BATCH, EPOCHS)]
        command = [python, "-c", MEASURE.format(peer=peer), *arguments]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=settings).stdout
    figures: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return figures


def has_tensorflow(python: str) -> bool:
    """Whether an interpreter can import Keras on TensorFlow."""
    code = "import importlib.util, sys; sys.exit(not all(map(importlib.util.find_spec, ('keras', 'tensorflow'))))"
    return not subprocess.run([python, "-c", code], check=False).returncode


def main() -> None:
    """Rounds over peers and folders; medians, and ratios to the best of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keras-python", default=sys.executable, help="a Python that has Keras and TensorFlow")
    parser.set_defaults(photos=PHOTOS)
    arguments = parse_arguments(parser, rounds=1, photos=8)
    peers = {"eyespot": (sys.executable, EYESPOT)}
    if has_tensorflow(arguments.keras_python):
        peers["keras"] = arguments.keras_python, KERAS
    else:
        print("Left out: keras (TensorFlow is not installed).")
    peers["torch"] = sys.executable, TORCH
    test = load_dataset("fashion-mnist", smoke=arguments.smoke).test
    assert test is not None
    speeds: dict[tuple[str, str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folders = write_folders(Path(temporary), test, arguments.photos)
        for name, (folder, pictures, side, channels) in folders.items():
            for turn in range(arguments.rounds):
                for peer in list(peers)[:: 1 if turn % 2 else -1]:
                    python, code = peers[peer]
                    figures = measure(python, code, folder, side, channels)
                    seen = figures["seen"], tuple(figures["shape"])
                    assert seen == (pictures, (side, side, channels)), (peer, figures)
                    first, later = figures["seconds"][0], statistics.median(figures["seconds"][1:])
                    speeds.setdefault((name, "first", peer), []).append(pictures / first)
                    speeds.setdefault((name, "later", peer), []).append(pictures / later)
    for name in ("png", "jpeg"):
        for epoch in ("first", "later"):
            medians = {peer: statistics.median(speeds[name, epoch, peer]) for peer in peers}
            best = max(speed for peer, speed in medians.items() if peer != "eyespot")
            speed_text = "  ".join(f"{peer} {speed:,.0f}" for peer, speed in medians.items())
            ratio = medians["eyespot"] / best
            print(f"{name:5} {epoch:6} pictures/s: {speed_text}  eyespot / best of the others: {ratio:.2f}")


if __name__ == "__main__":
    run_benchmark(main)
