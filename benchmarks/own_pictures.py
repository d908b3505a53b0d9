"""Fashion-MNIST's test pictures as a user's folder, with known faults, through look, train, evaluate and predict.

10,000 PNG files in folders, 8,500 for training and 1,500 for test; 50 files corrupted in four ways, 100 test pictures
copied into the training folders, 3 % of the training labels flipped. Prints what was found of each.

    EYESPOT_DATA=… python benchmarks/own_pictures.py [--epochs 10] [--keep FOLDER]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import eyespot

SEED = 3
TRAINING, CORRUPT, LEAKS, FLIPPED = 8_500, 50, 100, 0.03
MOST_SUSPECT = 0.1


def write_folder(root: Path) -> dict[str, Any]:
    """Writes the pictures below `root`; returns what was planted, by path."""
    dataset, generator = eyespot.load("fashion-mnist"), np.random.default_rng(SEED)
    assert dataset.test is not None
    names = [name.replace("/", "-") for name in dataset.class_names]
    order = generator.permutation(len(dataset.test))
    learnt = set(order[:TRAINING].tolist())
    flipped = set(generator.permutation(order[:TRAINING])[: int(FLIPPED * TRAINING)].tolist())
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
    for number, place in enumerate(generator.permutation(len(sound))[:CORRUPT]):
        path = root / sound[place]
        content = path.read_bytes()
        damaged = (b"", content[: len(content) // 2], b"garbage" * 20, content[:20] + bytes(40) + content[60:])
        path.write_bytes(damaged[number % len(damaged)])
        planted["corrupt"].append(sound[place])
    shown = [name for name in sound if name.startswith("test/") and name not in planted["corrupt"]]
    for number, place in enumerate(generator.permutation(len(shown))[:LEAKS]):
        copy = f"train/{Path(shown[place]).parent.name}/copy-{number:03d}.png"
        (root / copy).write_bytes((root / shown[place]).read_bytes())
        planted["leaks"].append([copy, shown[place]])
    return planted


def run(*arguments: object) -> Any:
    """What a command answers."""
    command = [sys.executable, "-m", "eyespot", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(planted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """How much of what was planted was found, and what else was."""
    left_out = {skipped["file"] for skipped in found["skipped"]}
    leaks = {frozenset(side["file"] for side in pair["pictures"]) for pair in found["duplicates"] if pair["leak"]}
    known = {frozenset(pair) for pair in planted["leaks"]}
    ranked = [suspect["file"] for suspect in found["suspects"]["ranked"]]
    top = set(ranked[: int(MOST_SUSPECT * found["splits"]["train"]["pictures"])])
    return {
        "corrupt_found": len(left_out & set(planted["corrupt"])),
        "sound_left_out": len(left_out - set(planted["corrupt"])),
        "leaks_found": len(known & leaks),
        "other_leaks": len(leaks - known),
        "flips_among_most_suspect": len(top & set(planted["flips"])) / len(planted["flips"]),
    }


def main() -> None:
    """Plants, runs the four commands, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="write folder and run here, and leave them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        planted = write_folder(place / "pictures")
        result = compare(planted, run("look", place / "pictures", "--output", place / "look"))
        trained = run("train", place / "pictures", "--drop-leaks", "--epochs", given.epochs, "--output", place / "run")
        judged = run("evaluate", place / "run")
        predicted = run("predict", place / "run", place / "pictures" / "test" / "Bag")
    result |= {
        "test_accuracy": trained["test_accuracy"],
        "test_accuracy_interval": trained["test_accuracy_interval"],
        "evaluated_alike": judged["accuracy"] == trained["test_accuracy"],
        "bags_predicted": len(predicted),
        "bags_right": sum(one["label"] == "Bag" for one in predicted),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
