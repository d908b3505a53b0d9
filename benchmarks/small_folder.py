"""How far the defaults come on a small folder: 2,400 pictures of MNIST, five epochs.

Written as PNG files in a folder for each class, trained on with `eyespot train FOLDER --epochs 5` and nothing else, and
judged on MNIST's 10,000 test pictures, of which the training knows nothing. The folder's own validation accuracy is
printed too; three folders of other pictures each, with other seeds.

    EYESPOT_DATA=… python benchmarks/small_folder.py
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.evaluation.statistics import wilson

PICTURES, EPOCHS, FOLDERS = 2_400, 5, 3


def write_folder(root: Path, mnist: Dataset, seed: int) -> None:
    """As many pictures of each class as chance gives."""
    for row in np.random.default_rng(seed).permutation(len(mnist.train))[:PICTURES]:
        path = root / mnist.class_names[mnist.train.labels[row]] / f"{row:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(mnist.train.images[row])[..., 0]).save(path)


def main() -> None:
    """Writes, trains, judges, prints."""
    mnist = eyespot.load("mnist")
    assert mnist.test is not None
    medians = []
    for seed in range(FOLDERS):
        with tempfile.TemporaryDirectory() as temporary:
            folder, run = Path(temporary) / "digits", Path(temporary) / "run"
            write_folder(folder, mnist, seed)
            command = ["train", folder, "--epochs", EPOCHS, "--seed", seed, "--output", run, "--json"]
            answer = subprocess.run(
                [sys.executable, "-m", "eyespot", *map(str, command)], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            predicted = eyespot.open_run(run).predictor().probabilities(mnist.test.images).argmax(axis=1)
        right = int((predicted == mnist.test.labels).sum())
        low, high = wilson(right, len(predicted))
        medians.append(right / len(predicted))
        print(
            f"folder {seed}: validation accuracy {json.loads(answer)['val_accuracy']:.2%}, on MNIST's test pictures "
            f"{medians[-1]:.2%} ({low:.2%} to {high:.2%})",
            flush=True,
        )
    print(f"median on the test pictures: {statistics.median(medians):.2%}")


if __name__ == "__main__":
    main()
