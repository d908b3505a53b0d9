"""Fingerprints of six trainings: whether a change of the code has changed what is computed, to the last bit.

Each training is of the embedded digits and takes seconds: the default, a CNN in float32 and in bfloat16, augmentation,
a moving average of the weights, and a training that is interrupted and resumed. A fingerprint is the SHA-256 of the
kept weights and of the history, seconds left out. Processors round differently: compare two trees on one machine.

    python benchmarks/fingerprints.py > before.json     # on the one tree
    python benchmarks/fingerprints.py --compare before.json
    python benchmarks/fingerprints.py --smoke    # whether it runs: the first training alone, one epoch
"""

import argparse
import csv
import hashlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import parse_arguments, run_benchmark

import eyespot

CNN = {"model": "cnn", "epochs": 4}
TRAININGS: dict[str, dict[str, Any]] = {
    "digits": {},
    "cnn-float32": {**CNN, "precision": "float32"},
    "cnn-bfloat16": {**CNN, "precision": "bfloat16"},
    "augmentation": {**CNN, "augment": "digits", "precision": "float32"},
    "average": {**CNN, "average": 0.99, "precision": "float32"},
    "resume": {**CNN, "precision": "float32"},
}
OF_THE_CLOCK = {"seconds", "images_per_second"}


class StopsOnce:
    """Interrupts the training in its second epoch, as Ctrl-C does."""

    def on_step(self, step: Any) -> None:
        """Sends the signal after one step."""
        if (step.epoch, step.step) == (2, 3):
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch(self, row: Any) -> None:
        """Nothing happens here."""


def fingerprint(name: str, folder: Path, **options: Any) -> str:
    """Train, and hash what was learned.

    Args:
        name: a key of `TRAININGS`.
        folder: where the run is written.
        options: of the training, besides.
    """
    path = folder / name
    observers = [StopsOnce()] if name == "resume" else []
    training = eyespot.train("digits", output=path, verbose=0, observers=observers, **TRAININGS[name], **options)
    if observers:
        assert training.outcome.ending == "interrupted"
        training = eyespot.train(resume=path, verbose=0)
    digest = hashlib.sha256()
    for weight in training.run.model().get_weights():
        digest.update(weight.tobytes())
    for row in csv.DictReader((path / "history.csv").read_text(encoding="utf-8").splitlines()):
        digest.update(json.dumps([row[key] for key in row if key not in OF_THE_CLOCK]).encode())
    return digest.hexdigest()


def main() -> int:
    """Print the fingerprints as JSON; with --compare, 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", type=Path, metavar="FILE", help="fingerprints of another tree")
    options = parse_arguments(parser)
    names, shorter = (["digits"], {"epochs": 1}) if options.smoke else (list(TRAININGS), {})
    with tempfile.TemporaryDirectory() as folder:
        fingerprints = {name: fingerprint(name, Path(folder), **shorter) for name in names}
    print(json.dumps(fingerprints, indent=2))
    if options.compare is None:
        return 0
    before = json.loads(options.compare.read_text(encoding="utf-8"))
    differing = [name for name in names if before[name] != fingerprints[name]]
    print(f"Different: {', '.join(differing) or 'none'}.", file=sys.stderr)
    return bool(differing)


if __name__ == "__main__":
    run_benchmark(main)
