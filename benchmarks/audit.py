"""What the audit finds of faults that were planted: copies of training images, flipped labels, blurred images.

Copies: 1,000 training images of Fashion-MNIST, each stored as JPEG, resized there and back, made brighter or darker
by up to 10 %, or all three, put among the 10,000 test images. Counted are those found, and the test images that are
found without having been planted; the threshold was chosen on other training images. Labels: 3 % of MNIST's training
labels flipped; counted are those among the 4 % most suspect. Blur: 200 training images, blurred by a Gaussian of one
pixel; counted are those that stand out as blurred, and the images that do so as they are. Folders of photographs go
through all three: their first 200 copies are the test images.

    EYESPOT_DATA=… python benchmarks/audit.py [--skip-labels] [--photographs FOLDER …]
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
from scipy.ndimage import gaussian_filter

import eyespot
from eyespot.data.audit.duplicates import find_duplicates
from eyespot.data.audit.outliers import find_outliers
from eyespot.data.dataset import Dataset, Split
from eyespot.workflow.audit import find_suspect_labels

SEED = 11
COPIES = 1_000
FLIPPED, MOST_SUSPECT = 0.03, 0.04
SMALLEST, LARGEST = 0.7, 1.5
WORST, BEST = 60, 95  # JPEG quality
BLUR = 1.0  # pixels: standard deviation of the Gaussian
FEW, PARTS = 200, 4  # images that are blurred, and copied of photographs; in how many parts they are blurred


def stored(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """As JPEG and back."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=int(generator.integers(WORST, BEST + 1)))
    return np.asarray(Image.open(content))


def resized(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """To another size and back."""
    height, width = picture.shape[:2]
    factor = generator.uniform(SMALLEST, LARGEST)
    other = Image.fromarray(picture).resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)
    return np.asarray(other.resize((width, height), Image.Resampling.BICUBIC))


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
    originals = generator.permutation(len(whole.train))[:count]
    kinds = [list(CHANGES)[number % len(CHANGES)] for number in range(count)]
    copies = []
    for row, kind in zip(originals, kinds, strict=True):
        picture = np.asarray(whole.train.images[int(row)])
        changed = picture[..., 0] if picture.shape[-1] == 1 else picture
        for change in CHANGES[kind]:
            changed = change(changed, generator)
        copies.append(changed.reshape(picture.shape))
    images, labels = np.stack(copies), whole.train.labels[originals]
    unplanted = len(whole.test) if whole.test else 0
    if whole.test:
        images = np.concatenate([np.asarray(whole.test.images), images])
        labels = np.concatenate([whole.test.labels, labels])
    test = Split(images, labels)
    started = time.perf_counter()
    pairs = find_duplicates(Dataset("planted", whole.class_names, whole.train, test=test), within=False)
    seconds = time.perf_counter() - started
    rows = {(pair.first[1], pair.second[1]) for pair in pairs}
    planted = {(int(row), unplanted + number) for number, row in enumerate(originals)}
    right = [(int(row), unplanted + number) in rows for number, row in enumerate(originals)]
    others = [pair for pair in pairs if pair.second[1] < unplanted]
    return {
        "found": {
            kind: float(np.mean([r for r, k in zip(right, kinds, strict=True) if k == kind])) for kind in CHANGES
        },
        "found_of_all": float(np.mean(right)),
        "test_pictures_found_unplanted": len({pair.second[1] for pair in others}) / max(1, unplanted),
        "of_these_exactly_equal": len({pair.second[1] for pair in others if pair.kind == "exact"}) / max(1, unplanted),
        "pairs_with_another_copy": sum(row[1] >= unplanted for row in rows - planted),
        "seconds": seconds,
    }


def measure_blur(whole: Dataset, count: int) -> dict[str, Any]:
    """Shares of blurred images, and of the same data's images as they are, that stand out as blurred.

    Args:
        count: images to blur.
    """
    generator = np.random.default_rng(SEED)
    chosen = generator.permutation(len(whole.train))[:count]
    images = np.array(whole.train.images)
    untouched = blurred_rows(whole.train)
    found = 0
    for part in np.array_split(chosen, PARTS):  # few at a time: blurred images must not become what is usual
        changed = images.copy()
        changed[part] = np.round(gaussian_filter(images[part].astype(np.float32), BLUR, axes=(1, 2)))
        found += len(np.intersect1d(blurred_rows(Split(changed, whole.train.labels)), part))
    return {"found": found / count, "found_unplanted": len(untouched) / len(images)}


def blurred_rows(split: Split) -> list[int]:
    """Rows that stand out as blurred."""
    classes = tuple(map(str, range(int(split.labels.max()) + 1)))
    return [o.place[1] for o in find_outliers(Dataset("d", classes, split)) if o.reason == "soft or blurred"]


def measure_labels(whole: Dataset) -> dict[str, Any]:
    """Share of flipped labels among the most suspect."""
    generator = np.random.default_rng(SEED)
    number = len(whole.train)
    flipped = generator.permutation(number)[: int(FLIPPED * number)]
    labels = whole.train.labels.copy()
    labels[flipped] = (labels[flipped] + generator.integers(1, whole.classes, len(flipped))) % whole.classes
    started = time.perf_counter()
    suspects = find_suspect_labels(
        Dataset("flipped", whole.class_names, Split(whole.train.images, labels)), Console(stderr=True)
    )
    seconds = time.perf_counter() - started
    top = suspects.rows[: int(MOST_SUSPECT * number)]
    return {
        "found": len(np.intersect1d(top, flipped)) / len(flipped),
        "estimated": suspects.estimated,
        "flipped": len(flipped),
        "seconds": seconds,
    }


def main() -> None:
    """Print all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-labels", action="store_true")
    parser.add_argument("--photographs", nargs="+", default=[], metavar="FOLDER")
    parser.set_defaults(copies=COPIES, blurred=FEW)
    arguments = parse_arguments(parser, copies=40, blurred=8)
    fashion = load_dataset("fashion-mnist", smoke=arguments.smoke)
    result = {"copies": measure_copies(fashion, arguments.copies), "blur": measure_blur(fashion, arguments.blurred)}
    if not arguments.skip_labels:
        result["labels"] = measure_labels(load_dataset("mnist", smoke=arguments.smoke))
    for folder in arguments.photographs:
        photographs = eyespot.load(folder, verbose=0)
        result[folder] = {"copies": measure_copies(photographs, FEW), "blur": measure_blur(photographs, FEW)}
        if not arguments.skip_labels:
            result[folder]["labels"] = measure_labels(photographs)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    run_benchmark(main)
