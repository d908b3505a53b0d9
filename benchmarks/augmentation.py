"""Augmentation of a batch: eyespot's policies beside Keras's random layers on PyTorch, on the CPU.

Both run in one process with as many threads as PyTorch has (OMP_NUM_THREADS), on batches that change in turn: one call
of each, in an order that turns round, so that a busy moment meets both. Keras's pipeline is made of the layers that do
what the policy does, with the same ranges: RandomTranslation, RandomRotation, RandomZoom, RandomFlip,
RandomBrightness, RandomContrast, RandomErasing. Before anything is timed, both must leave a batch as it is when all
ranges are nothing, and keep its shape when they are not. Prints the median microseconds a batch of each, what eyespot
draws included, and the median ratio of neighbouring calls with its quartiles.

    OMP_NUM_THREADS=1 python benchmarks/augmentation.py --calls 300
    python benchmarks/augmentation.py --smoke    # whether it runs: one call, four pictures
"""

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from harness import parse_arguments, run_benchmark

from eyespot.backend import keras
from eyespot.data.augment.policy import POLICIES, Changes
from eyespot.engine.steps import BatchMaker

layers = keras.layers
BATCH = 64
SIZES = ((28, 28, 1), (64, 64, 3))
MIXED = {"mixup": Changes(mixup=0.2), "cutmix": Changes(cutmix=1.0)}  # alone; Keras's MixUp and CutMix beside them
WARM_UP = 5


def of_keras(changes: Changes) -> list[keras.layers.Layer]:
    """The layers that do the same."""
    fill = {"fill_mode": "nearest" if changes.fill == "edge" else "constant"}
    made = {
        layers.RandomFlip: changes.flip_horizontal and {"mode": "horizontal"},
        layers.RandomTranslation: changes.shift
        and {"height_factor": changes.shift, "width_factor": changes.shift, **fill},
        layers.RandomRotation: changes.rotate and {"factor": changes.rotate / 360, **fill},
        layers.RandomZoom: changes.zoom and {"height_factor": changes.zoom, **fill},
        layers.RandomBrightness: changes.brightness and {"factor": changes.brightness, "value_range": (0, 255)},
        layers.RandomContrast: changes.contrast and {"factor": changes.contrast, "value_range": (0, 255)},
        layers.RandomErasing: changes.erase and {"factor": changes.erase, "value_range": (0, 255)},
        layers.MixUp: changes.mixup and {"alpha": changes.mixup},
        layers.CutMix: changes.cutmix and {"factor": 1.0},
    }
    return [layer(**settings) for layer, settings in made.items() if settings]


def by_keras(changes: Changes, labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layers, one after the other, and rounding back to pixels."""
    stack = of_keras(changes)

    def call(images: torch.Tensor) -> torch.Tensor:
        values: Any = {"images": images.float(), "labels": labels} if changes.mixes else images.float()
        for layer in stack:
            values = layer(values, training=True)
        pictures = values["images"] if changes.mixes else values
        return pictures.round().clamp(0, 255).to(torch.uint8)

    return call


def by_eyespot(changes: Changes, labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """As a step of a training has it, its draws included."""
    batches, step = BatchMaker(0, changes), itertools.count()
    return lambda images: batches.batch(images, labels, next(step))[0]


def compare(changes: Changes, size: tuple[int, int, int], batch: int, calls: int) -> tuple[float, float, list[float]]:
    """Median microseconds of eyespot and of Keras, and the quartiles of their ratios."""
    generator = np.random.default_rng(0)
    batches = [torch.from_numpy(generator.integers(0, 256, (batch, *size), np.uint8)) for _ in range(4)]
    labels = torch.from_numpy(generator.integers(0, 10, batch))
    one_hot = torch.nn.functional.one_hot(labels, 10).float()
    ours, theirs = by_eyespot(changes, labels), by_keras(changes, one_hot)
    assert (by_eyespot(Changes(), labels)(batches[0]) == batches[0]).all()
    assert (by_keras(Changes(), one_hot)(batches[0]) == batches[0]).all()
    assert ours(batches[0]).shape == theirs(batches[0]).shape == batches[0].shape
    taken: dict[int, list[float]] = {0: [], 1: []}
    with torch.no_grad():
        for number in range(calls + WARM_UP):
            for which in (0, 1) if number % 2 else (1, 0):
                started = time.perf_counter()
                (ours, theirs)[which](batches[number % len(batches)])
                taken[which].append(1e6 * (time.perf_counter() - started))
    mine, its = (np.array(taken[which][WARM_UP:]) for which in (0, 1))
    return float(np.median(mine)), float(np.median(its)), np.quantile(its / mine, [0.25, 0.5, 0.75]).tolist()


def main() -> None:
    """Print a line for each policy and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.set_defaults(batch=BATCH)
    arguments = parse_arguments(parser, calls=1, batch=4)
    calls, batch = arguments.calls, arguments.batch
    print(f"batches of {batch}, {calls} calls, {torch.get_num_threads()} threads, Keras {keras.__version__}")
    for size in SIZES:
        for name, changes in [*POLICIES.items(), *MIXED.items()]:
            if not changes.any or (name == "photos" and size[2] == 1):
                continue
            mine, its, (low, middle, high) = compare(changes, size, batch, calls)
            ratio = f"{middle:.1f} times as fast ({low:.1f} to {high:.1f})"
            print(f"{'x'.join(map(str, size)):8} {name:8} eyespot {mine:6.0f} us, Keras {its:6.0f} us: {ratio}")


if __name__ == "__main__":
    run_benchmark(main)
