"""What the audit finds of faults that were planted: copies of training images, and flipped labels.

Copies: 1,000 training images of Fashion-MNIST, each stored as JPEG, resized there and back, made brighter or darker
by up to 10 %, or all three, put among the 10,000 test images. Counted are those found, and the test images that are
found without having been planted; the threshold was chosen on other training images. Labels: 3 % of MNIST's training
labels flipped; counted are those among the 4 % most suspect.

    EYESPOT_DATA=… python benchmarks/audit.py [--skip-labels]
    python benchmarks/audit.py --smoke    # whether it runs: 40 copies among 300 digits, 9 flipped labels
"""

import argparse
import io
import json
import time
from typing import Any

import numpy as np
from harness import load_dataset, parse_arguments, run_benchmark
from PIL import Image
from rich.console import Console

from eyespot.data.audit.duplicates import find_duplicates
from eyespot.data.dataset import Dataset, Split
from eyespot.workflow.audit import find_suspect_labels

SEED = 11
COPIES = 1_000
FLIPPED, MOST_SUSPECT = 0.03, 0.04
SMALLEST, LARGEST = 0.7, 1.5
WORST, BEST = 60, 95  # JPEG quality


def stored(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """As JPEG and back."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=int(generator.integers(WORST, BEST + 1)))
    return np.asarray(Image.open(content))


def resized(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """To another size and back."""
    side = round(picture.shape[0] * generator.uniform(SMALLEST, LARGEST))
    other = Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(other.resize(picture.shape[::-1], Image.Resampling.BICUBIC))


def brighter(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """By up to a tenth, or darker."""
    return np.clip(np.round(picture * generator.uniform(0.9, 1.1)), 0, 255).astype(np.uint8)


CHANGES = {"stored": (stored,), "resized": (resized,), "brighter": (brighter,), "all": (resized, brighter, stored)}


def measure_copies(whole: Dataset, count: int) -> dict[str, Any]:
    """Shares found, by kind of change, and of test images found that were not planted.

    Args:
        count: copies to plant.
    """
    generator = np.random.default_rng(SEED)
    assert whole.test is not None
    originals = generator.permutation(len(whole.train))[:count]
    kinds = [list(CHANGES)[number % len(CHANGES)] for number in range(count)]
    copies = []
    for row, kind in zip(originals, kinds, strict=True):
        picture = np.asarray(whole.train.images[row])[..., 0]
        for change in CHANGES[kind]:
            picture = change(picture, generator)
        copies.append(picture[..., np.newaxis])
    images = np.concatenate([np.asarray(whole.test.images), np.stack(copies)])
    test = Split(images, np.concatenate([whole.test.labels, whole.train.labels[originals]]))
    started = time.perf_counter()
    pairs = find_duplicates(Dataset("planted", whole.class_names, whole.train, test=test), within=False)
    seconds = time.perf_counter() - started
    rows = {(pair.first[1], pair.second[1]) for pair in pairs}
    right = [(int(row), len(whole.test) + number) in rows for number, row in enumerate(originals)]
    others = [pair for pair in pairs if pair.second[1] < len(whole.test)]
    return {
        "found": {
            kind: float(np.mean([r for r, k in zip(right, kinds, strict=True) if k == kind])) for kind in CHANGES
        },
        "found_of_all": float(np.mean(right)),
        "test_pictures_found_unplanted": len({pair.second[1] for pair in others}) / len(whole.test),
        "of_these_exactly_equal": len({pair.second[1] for pair in others if pair.kind == "exact"}) / len(whole.test),
        "seconds": seconds,
    }


def measure_labels(whole: Dataset) -> dict[str, Any]:
    """Share of flipped labels among the most suspect."""
    generator = np.random.default_rng(SEED)
    number = len(whole.train)
    flipped = generator.permutation(number)[: int(FLIPPED * number)]
    labels = whole.train.labels.copy()
    labels[flipped] = (labels[flipped] + generator.integers(1, whole.classes, len(flipped))) % whole.classes
    started = time.perf_counter()
    suspects = find_suspect_labels(Dataset("flipped", whole.class_names, Split(whole.train.images, labels)), Console())
    seconds = time.perf_counter() - started
    top = suspects.rows[: int(MOST_SUSPECT * number)]
    return {
        "found": len(np.intersect1d(top, flipped)) / len(flipped),
        "estimated": suspects.estimated,
        "flipped": len(flipped),
        "seconds": seconds,
    }


def main() -> None:
    """Print both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-labels", action="store_true")
    parser.set_defaults(copies=COPIES)
    arguments = parse_arguments(parser, copies=40)
    result = {"copies": measure_copies(load_dataset("fashion-mnist", smoke=arguments.smoke), arguments.copies)}
    if not arguments.skip_labels:
        result["labels"] = measure_labels(load_dataset("mnist", smoke=arguments.smoke))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    run_benchmark(main)
