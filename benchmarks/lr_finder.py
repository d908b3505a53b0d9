"""The learning rate that `eyespot train --find-lr` suggests, and those of other rules, beside a grid of rates.

For each dataset, network and optimizer the finder runs once. Then the network is trained from its initial weights for
one epoch (two of the digits) at each rate of a grid, two a decade, and at the rate that each rule reads from the same
losses; validation images (a tenth of the training images) are judged at the end. The rules:

- fall: eyespot's, where the smoothed loss has made four fifths of its fall;
- valley, steepest: fastai's (`fastai/callback/schedule.py`), on losses averaged as there, with a momentum of 0.98;
- tenth: a tenth of the rate where that average is lowest, fastai's `minimum`.

MNIST and Fashion-MNIST are 12,000 training images, drawn at random. `fall` and its two constants were chosen on the
digits and MNIST, with seeds 0 and 1; Fashion-MNIST was left for the test. Figures are validation accuracies in per
cent, by how much each rule stays below the best of the grid.

    EYESPOT_DATA=… OMP_NUM_THREADS=1 python benchmarks/lr_finder.py --output results.json
    python benchmarks/lr_finder.py --smoke    # whether it runs: one network on the digits, two rates
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import parse_arguments, run_benchmark

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.recipe.option_types import Optimizer
from eyespot.recipe.schema import Recipe
from eyespot.training.fit import fit
from eyespot.training.lr_finder import RateCurve, Smoothing, suggest
from eyespot.workflow.prepare import prepare, program_for

GRID = [float(f"{10 ** (power / 2):.3g}") for power in range(-9, 2)]
SETS = {"digits": (None, 2), "mnist": (12_000, 1), "fashion-mnist": (12_000, 1)}  # training images, epochs
NETWORKS, OPTIMIZERS = ("mlp", "cnn"), ("adam", "sgd")
SMOKE = {"sets": ["digits"], "grid": [1e-3, 1e-2], "networks": ("mlp",), "optimizers": ("adam",)}


def averaged(curve: RateCurve) -> np.ndarray:
    """As fastai does."""
    smoothing = Smoothing(0.98)
    return np.array([smoothing.add(loss) for loss in curve.losses])


def valley(curve: RateCurve) -> float:
    """Two thirds into the longest falling subsequence."""
    losses = averaged(curve)
    lengths = np.ones(len(losses), int)
    for step in range(1, len(losses)):
        below = losses[:step] > losses[step]
        lengths[step] = 1 + (lengths[:step][below].max() if below.any() else 0)
    end = int(lengths.argmax())
    start = max(0, end - int(lengths[end]))
    third = (end - start) / 3
    return float(curve.rates[start + int(third) + int(third / 2)])


def steepest(curve: RateCurve) -> float:
    """Where it falls fastest."""
    return float(curve.rates[np.diff(averaged(curve)).argmin()])


def tenth(curve: RateCurve) -> float:
    """A tenth of the rate where it is lowest."""
    return float(curve.rates[averaged(curve).argmin()] / 10)


RULES: dict[str, Callable[[RateCurve], float]] = {
    "fall": suggest,
    "valley": valley,
    "steepest": steepest,
    "tenth": tenth,
}


def pictures(name: str, count: int | None) -> Dataset:
    """A dataset's training images, or some of them."""
    dataset = eyespot.load(name)
    if count is None:
        return dataset
    rows = np.random.default_rng(0).permutation(len(dataset.train))[:count]
    return Dataset(dataset.name, dataset.class_names, dataset.train.take(np.sort(rows)))


def accuracy(dataset: Dataset, recipe: Recipe) -> float:
    """On validation images, after training by the recipe; 0 where the loss is no number."""
    prepared = prepare(dataset, recipe, {}, {}, trust=False, verbose=0)
    training = prepared.recipe.training
    program = program_for(prepared, training.steps_for(len(prepared.dataset.train)), lambda _: None)
    rows = fit(program, prepared.dataset, training).history.rows
    return 100 * float(rows[-1]["val_accuracy"]) if len(rows) == training.epochs else 0.0


def measured(
    dataset: Dataset, model: str, optimizer: Optimizer, epochs: int, grid: list[float]
) -> dict[str, dict[str, Any]]:
    """Accuracies of the grid's rates, and each rule's rate with its own."""

    def at(rate: float) -> float:
        training = {"optimizer": optimizer, "learning_rate": rate, "epochs": epochs, "keep": "last"}
        return accuracy(dataset, Recipe.parse({"model": {"name": model}, "training": training}))

    with tempfile.TemporaryDirectory() as folder:
        suggestion = eyespot.find_lr(dataset, None, Path(folder) / "lr", model=model, optimizer=optimizer, verbose=0)
    assert suggestion.suggested == suggest(suggestion.curve)
    rates = {name: float(f"{rule(suggestion.curve):.2g}") for name, rule in RULES.items()}
    return {
        "grid": {f"{rate:g}": at(rate) for rate in grid},
        "rules": {name: {"rate": rate, "accuracy": at(rate)} for name, rate in rates.items()},
    }


def table_line(name: str, result: dict[str, dict[str, Any]]) -> str:
    """Return a line of the table."""
    rate, best = max(result["grid"].items(), key=lambda item: item[1])
    figures = [f"{rule['rate']:8.2g} {rule['accuracy']:5.1f}" for rule in result["rules"].values()]
    return f"{name:24} {float(rate):8.2g} {best:5.1f} " + " ".join(figures)


def summary(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """By how much each rule stays below the best of the grid."""
    lines = []
    for rule in RULES:
        below = [max(result["grid"].values()) - result["rules"][rule]["accuracy"] for result in results.values()]
        lines.append(f"{rule:10} below the best: mean {np.mean(below):5.1f}, at most {np.max(below):5.1f} points")
    return lines


def main() -> None:
    """Measure what is asked for, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--output", type=Path)
    parser.set_defaults(grid=GRID, networks=NETWORKS, optimizers=OPTIMIZERS)
    arguments = parse_arguments(parser, **SMOKE)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    print(f"{'':24} {'best of the grid':>14} " + " ".join(f"{rule:>14}" for rule in RULES))
    for name in arguments.sets:
        count, epochs = SETS[name]
        dataset = pictures(name, count)
        for model in arguments.networks:
            for optimizer in arguments.optimizers:
                key = f"{name}, {model}, {optimizer}"
                results[key] = measured(dataset, model, optimizer, epochs, arguments.grid)
                print(table_line(key, results[key]), flush=True)
                if arguments.output:
                    arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name in arguments.sets:
        for line in summary({key: result for key, result in results.items() if key.startswith(f"{name},")}):
            print(f"{name:14} {line}")


if __name__ == "__main__":
    run_benchmark(main)
