"""Fashion-MNIST's test images as a user's folder, with known faults, through look, train, evaluate and predict.

10,000 PNG files in folders, 8,500 for training and 1,500 for test; 50 files corrupted in four ways, 100 test images
copied into the training folders, 3 % of the training labels flipped. Prints how much of each was found.

    EYESPOT_DATA=… python benchmarks/own_pictures.py [--epochs 10] [--keep FOLDER]
    python benchmarks/own_pictures.py --smoke    # whether it runs: 300 digits, one epoch
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness import load_dataset, parse_arguments, run_benchmark
from PIL import Image

import eyespot
from eyespot.data.dataset import Dataset

SEED = 3
TRAINING, CORRUPT, LEAKS, FLIPPED = 8_500, 50, 100, 0.03
MOST_SUSPECT = 0.1
BAG = 8  # the class whose test images are predicted
SMOKE = {"training": 260, "corrupt": 4, "leaks": 4, "epochs": 1}


def write_folder(root: Path, dataset: Dataset, training: int, corrupt: int, leaks: int) -> dict[str, Any]:
    """Write a dataset's test images below `root`, faults among them.

    Args:
        training: pictures to write for training; the others are for test.
        corrupt, leaks: files to damage, and test images to copy into the training folders.

    Returns:
        What was planted, by path.
    """
    generator = np.random.default_rng(SEED)
    assert dataset.test is not None
    names = [name.replace("/", "-") for name in dataset.class_names]
    order = generator.permutation(len(dataset.test))
    learnt = set(order[:training].tolist())
    flipped = set(generator.permutation(order[:training])[: int(FLIPPED * training)].tolist())
    planted: dict[str, Any] = {"flips": [], "corrupt": [], "leaks": []}
    for row in range(len(order)):
        label = int(dataset.test.labels[row])
        if row in flipped:
            label = (label + int(generator.integers(1, len(names)))) % len(names)
        name = f"{'train' if row in learnt else 'test'}/{names[label]}/{row:05d}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(dataset.test.images[row])[..., 0]).save(root / name)
        if row in flipped:
            planted["flips"].append(name)
    sound = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    sound = [name for name in sound if name not in planted["flips"]]
    for number, row in enumerate(generator.permutation(len(sound))[:corrupt]):
        path = root / sound[row]
        content = path.read_bytes()
        damaged = (b"", content[: len(content) // 2], b"garbage" * 20, content[:20] + bytes(40) + content[60:])
        path.write_bytes(damaged[number % len(damaged)])
        planted["corrupt"].append(sound[row])
    shown = [name for name in sound if name.startswith("test/") and name not in planted["corrupt"]]
    for number, row in enumerate(generator.permutation(len(shown))[:leaks]):
        copy = f"train/{Path(shown[row]).parent.name}/copy-{number:03d}.png"
        (root / copy).write_bytes((root / shown[row]).read_bytes())
        planted["leaks"].append([copy, shown[row]])
    return planted


def compare(planted: dict[str, Any], look: dict[str, Any]) -> dict[str, Any]:
    """Count how much of what was planted `look` has found, and what else."""
    left_out = {skipped["file"] for skipped in look["skipped"]}
    leaks = {frozenset(side["file"] for side in pair["pictures"]) for pair in look["duplicates"] if pair["leak"]}
    known = {frozenset(pair) for pair in planted["leaks"]}
    ranked = [suspect["file"] for suspect in look["suspects"]["ranked"]]
    top = set(ranked[: int(MOST_SUSPECT * look["splits"]["train"]["pictures"])])
    return {
        "corrupt_found": len(left_out & set(planted["corrupt"])),
        "sound_left_out": len(left_out - set(planted["corrupt"])),
        "leaks_found": len(known & leaks),
        "other_leaks": len(leaks - known),
        "flips_among_most_suspect": len(top & set(planted["flips"])) / len(planted["flips"]),
    }


def main() -> None:
    """Plant the faults, look, train, evaluate and predict, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="write folder and run here, and leave them")
    parser.set_defaults(training=TRAINING, corrupt=CORRUPT, leaks=LEAKS)
    arguments = parse_arguments(parser, **SMOKE)
    dataset = load_dataset("fashion-mnist", smoke=arguments.smoke)
    label = dataset.class_names[BAG].replace("/", "-")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        pictures = folder / "pictures"
        planted = write_folder(pictures, dataset, arguments.training, arguments.corrupt, arguments.leaks)
        result = compare(planted, eyespot.look(pictures, folder / "look", verbose=0).to_dict())
        training = eyespot.train(
            str(pictures), output=folder / "run", drop_leaks=True, epochs=arguments.epochs, verbose=0
        ).to_dict()
        evaluation = eyespot.evaluate(folder / "run").to_dict()
        predictions = eyespot.predict(folder / "run", [pictures / "test" / label], on_error=lambda _: None)
    result |= {
        "test_accuracy": training["test_accuracy"],
        "test_accuracy_interval": training["test_accuracy_interval"],
        "evaluated_alike": evaluation["accuracy"] == training["test_accuracy"],
        "bags_predicted": len(predictions),
        "bags_right": sum(prediction.label == label for prediction in predictions),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    run_benchmark(main)
