"""How well a run reads photographs of digits: made-up ones, whose every condition is known.

    python benchmarks/photographs.py RUN --seed 2 --count 1200 --half report
    python benchmarks/photographs.py --smoke    # whether it runs: three photographs, and a run on the digits

Each is read by `eyespot predict` as it is by default, with `--as-is`, and after a simple preparation (contrast
stretched, inverted, resized). Accuracy is reported with Wilson's 95 % interval, over all and for each condition.

The halves share neither a font family nor an MNIST picture (both are of MNIST's test set, on which nothing was
trained): `tune` was looked at while the method was made, `report` is for the figures. One photograph in twenty has
several digits in a row, is read with `--each`, and counts as right when all of them are, and no more.
"""

import argparse
import io
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import photo_ink
import photo_set
from harness import load_dataset, parse_arguments, run_benchmark, train_run
from PIL import Image, ImageDraw, ImageOps

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.evaluation.statistics import wilson
from eyespot.inference.predictor import Predictor
from eyespot.random import seed_for

WRITTEN = ("MNIST", "font", "strokes")
EVERY = 20  # one photograph in so many has several digits
CELL = 150
SHOWN = 7


def photographs(
    mnist: Dataset, seed: int, count: int, half: str, folders: tuple[Path, ...]
) -> Iterator[tuple[bytes, tuple[int, ...], dict[str, str]]]:
    """JPEG, digits and conditions of each; the n-th is the same whatever the count."""
    report = half == "report"
    families = photo_ink.font_families(folders)
    fonts = {name: files for name, files in families.items() if photo_ink.belongs_to_report(name) == report}
    test = mnist.test
    assert test is not None
    rows = np.arange(len(test)) % 2 == report
    sources = photo_set.Sources(fonts, np.asarray(test.images)[rows][..., 0], test.labels[rows])
    for number in range(count):
        generator = np.random.default_rng(seed_for(seed, "photograph", number))
        several = number % EVERY == EVERY - 1
        digits = int(generator.integers(2, 5)) if several else 1
        made = photo_set.photograph(generator, sources, WRITTEN[number % len(WRITTEN)], digits)
        yield made.jpeg(), made.digits, made.conditions


def simply(content: bytes, predictor: Predictor) -> tuple[str, ...]:
    """Contrast stretched, inverted, resized: what one would try first."""
    height, width, _ = predictor.input_shape
    grey = ImageOps.invert(ImageOps.autocontrast(Image.open(io.BytesIO(content)).convert("L")))
    pixels = np.asarray(grey.resize((width, height), Image.Resampling.LANCZOS), np.uint8)
    return (predictor.class_names[int(predictor.probabilities(pixels[None, ..., None])[0].argmax())],)


def ways(predictor: Predictor) -> dict[str, Callable[[bytes, bool], tuple[str, ...]]]:
    """How a photograph is read: by name, what gives the labels from its bytes, and whether it shows several."""
    return {
        "eyespot": lambda content, several: tuple(
            prediction.label for prediction in predictor.predict([("-", content)], each=several)
        ),
        "--as-is": lambda content, _: tuple(
            prediction.label for prediction in predictor.predict([("-", content)], as_is=True)
        ),
        "simple": lambda content, _: simply(content, predictor),
    }


def accuracy_text(right: list[bool]) -> str:
    """Return the accuracy, its interval and the count."""
    low, high = wilson(sum(right), len(right))
    return f"{np.mean(right):7.2%}  ({low:.2%} to {high:.2%}) of {len(right):,}"


def sheet(failures: list[tuple[bytes, str]], predictor: Predictor, path: Path) -> None:
    """A contact sheet of photographs, step by step, a row each."""
    page = Image.new("RGB", (CELL * SHOWN, (CELL + 14) * len(failures)), "white")
    for row, (content, title) in enumerate(failures):
        steps: list[np.ndarray] = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))]
        predictor.predict([("-", content)], on_steps=partial(_keep_images, steps))
        top = row * (CELL + 14)
        ImageDraw.Draw(page).text((2, top), title, fill="black")
        for column, image in enumerate(steps[:SHOWN]):
            small = ImageOps.contain(Image.fromarray(image.squeeze()).convert("RGB"), (CELL - 4, CELL - 4))
            page.paste(small, (column * CELL, top + 14))
    page.save(path)


def _keep_images(images: list[np.ndarray], _: str, steps: Iterable[tuple[str, np.ndarray]]) -> None:
    images.extend(image for _, image in steps)


def main() -> None:
    """Make the photographs, read them in every way, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="A folder with more fonts.")
    parser.add_argument("--sheet", type=Path, help="Where to draw what was read wrong, step by step (PNG).")
    parser.add_argument("--json", type=Path, help="Where to write every figure.")
    arguments = parse_arguments(parser, count=3)
    if not (arguments.run or arguments.smoke):
        parser.error("a run is needed: what `eyespot train mnist` leaves behind")
    mnist = load_dataset("mnist", smoke=arguments.smoke)
    with tempfile.TemporaryDirectory() as folder:
        run = eyespot.open_run(arguments.run) if arguments.run else train_run(Path(folder) / "run")
        predictor = run.predictor()
    assert predictor.appearance, "the run was trained before appearances were measured"
    right: dict[str, dict[tuple[str, str], list[bool]]] = {way: defaultdict(list) for way in ways(predictor)}
    failures: list[tuple[bytes, str]] = []
    for content, digits, conditions in photographs(
        mnist, arguments.seed, arguments.count, arguments.half, tuple(arguments.fonts)
    ):
        expected = tuple(str(digit) for digit in digits)
        several = len(digits) > 1
        for way, read in ways(predictor).items():
            labels = read(content, several)
            keys = [("several digits", "all right")] if several else [("all", "one digit"), *conditions.items()]
            for key in keys:
                right[way][key].append(labels == expected)
            if way == "eyespot" and labels != expected:
                failures.append((content, f"{expected} read as {labels}: {', '.join(conditions.values())}"))
    for key in sorted(right["eyespot"]):
        print(
            f"{key[0]:>15} {key[1]:<24} " + "   ".join(f"{way} {accuracy_text(by[key])}" for way, by in right.items())
        )
    if arguments.sheet:
        sheet(failures[:30], predictor, arguments.sheet)
    if arguments.json:
        figures = {
            way: {f"{name}: {value}": [sum(counted), len(counted)] for (name, value), counted in by.items()}
            for way, by in right.items()
        }
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_benchmark(main)
