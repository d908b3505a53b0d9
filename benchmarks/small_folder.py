"""How far the defaults come on a small folder: 2,400 pictures of MNIST, five epochs.

Written as PNG files in a folder for each class, trained on as by `eyespot train FOLDER --epochs 5` and nothing else,
and judged on MNIST's 10,000 test images, of which the training knows nothing. The folder's own validation accuracy is
printed too; three folders of other pictures each, with other seeds.

    EYESPOT_DATA=… python benchmarks/small_folder.py
    python benchmarks/small_folder.py --smoke    # whether it runs: one folder of 200 digits, one epoch
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from harness import load_dataset, parse_arguments, run_benchmark
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.evaluation.statistics import wilson

PICTURES, EPOCHS, FOLDERS = 2_400, 5, 3


def write_folder(root: Path, mnist: Dataset, seed: int, count: int) -> None:
    """Write random training images, as many of each class as chance gives."""
    for row in np.random.default_rng(seed).permutation(len(mnist.train))[:count]:
        path = root / mnist.class_names[mnist.train.labels[row]] / f"{row:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(mnist.train.images[row])[..., 0]).save(path)


def main() -> None:
    """Write the folders, train on each, and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(pictures=PICTURES, epochs=EPOCHS, folders=FOLDERS)
    arguments = parse_arguments(parser, pictures=200, epochs=1, folders=1)
    mnist = load_dataset("mnist", smoke=arguments.smoke)
    assert mnist.test is not None
    accuracies = []
    for seed in range(arguments.folders):
        with tempfile.TemporaryDirectory() as temporary:
            folder, run = Path(temporary) / "digits", Path(temporary) / "run"
            write_folder(folder, mnist, seed, arguments.pictures)
            training = eyespot.train(str(folder), output=run, epochs=arguments.epochs, seed=seed, verbose=0)
            probabilities = training.run.predictor().probabilities(np.asarray(mnist.test.images))
        right = int((probabilities.argmax(axis=1) == mnist.test.labels).sum())
        low, high = wilson(right, len(probabilities))
        accuracies.append(right / len(probabilities))
        print(
            f"folder {seed}: validation accuracy {training.to_dict()['val_accuracy']:.2%}, on MNIST's test images "
            f"{accuracies[-1]:.2%} ({low:.2%} to {high:.2%})",
            flush=True,
        )
    print(f"median on the test images: {statistics.median(accuracies):.2%}")


if __name__ == "__main__":
    run_benchmark(main)
