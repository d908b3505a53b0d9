"""What benchmarks share: `--smoke`, which runs one on tiny data within seconds, that data, and how one fails."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset, Split
from eyespot.errors import EyespotError
from eyespot.run import Run

TRAIN, TEST = 300, 300  # images of a stand-in
SIDE = 28  # pixels


class PeerError(Exception):
    """A peer has failed: which one, and why."""


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
    arguments = parser.parse_args()
    if arguments.smoke and getattr(arguments, "save", False):
        parser.error("--smoke measures nothing worth saving: leave out --save")
    return arguments


def run_benchmark(main: Callable[[], int | None]) -> NoReturn:
    """Run a benchmark; where eyespot or a peer fails, end with exit code 1 and one sentence.

    Other exceptions are mistakes in the benchmark itself, and keep their traceback.
    """
    name = Path(sys.argv[0]).name
    try:
        sys.exit(main())
    except PeerError as error:
        sys.exit(f"{name}: {error}")
    except EyespotError as error:
        sys.exit(f"{name}: eyespot failed: {error}")
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr or "").strip().splitlines()
        sys.exit(f"{name}: a peer's process failed: {lines[-1] if lines else f'exit code {error.returncode}'}")


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
    return eyespot.train("digits", output=folder, model="mlp", epochs=3, verbose=0).run
