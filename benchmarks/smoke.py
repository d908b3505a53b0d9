"""For every benchmark: `--smoke`, which runs it on tiny data within seconds, and the data it then runs on."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

import eyespot
from eyespot.data.dataset import Dataset, Split
from eyespot.run import Run

TRAIN, TEST = 300, 300  # images of a stand-in
SIDE = 28  # pixels


def parse_arguments(parser: argparse.ArgumentParser, **tiny: Any) -> argparse.Namespace:
    """Parse the command line, to which `--smoke` is added.

    Args:
        tiny: defaults of options where `--smoke` is given; what the user gives still counts.
    """
    parser.add_argument(
        "--smoke", action="store_true", help="run on tiny data within seconds, offline; write no results"
    )
    if parser.parse_known_args()[0].smoke:
        parser.set_defaults(**tiny)
    return parser.parse_args()


def load_dataset(name: str, *, smoke: bool) -> Dataset:
    """Load a dataset of the catalog; with `smoke`, a few of the embedded digits, enlarged, stand in for it.

    Returns:
        The dataset, with a test split; as a stand-in 300 training and 300 test images of 28x28x1.
    """
    if not smoke:
        return eyespot.load(name)
    digits = eyespot.load("digits")
    assert digits.test is not None
    return Dataset(name, digits.class_names, _enlarged(digits.train, TRAIN), test=_enlarged(digits.test, TEST))


def _enlarged(split: Split, count: int) -> Split:
    """The first images of a split, brought to 28x28 pixels."""
    small = np.asarray(split.images[:count])[..., 0]
    images = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for image in small]
    return Split(np.stack(images)[..., None], split.labels[:count])


def train_run(folder: Path) -> Run:
    """Train on the embedded digits for a few epochs.

    Args:
        folder: where the run is written; it must not exist.
    """
    return eyespot.train("digits", output=folder, model="mlp", epochs=3, console=Console(quiet=True)).run
