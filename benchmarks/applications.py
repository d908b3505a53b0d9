"""Networks of `keras.applications` through `eyespot.accelerate`, beside plain Keras on PyTorch, on the CPU.

Both train by Keras's own `fit` on the same random pictures from the same weights, in one process, A B B A …; an epoch
is so many steps after a warm-up. Both must give the same losses in float32.

    python benchmarks/applications.py --networks MobileNetV3Small ResNet50 --size 96
    python benchmarks/applications.py --smoke    # whether it runs: one network, two steps of two small images

Columns: seconds a step (median of the rounds), and how many times as fast eyespot is (median and range).
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from harness import parse_arguments, run_benchmark

import eyespot
from eyespot.backend import keras
from eyespot.environment import describe_environment

TOLERANCE = 1e-3  # relative, of the loss of the first step: float32 rounds differently in another order
SMOKE = {"networks": ["MobileNetV3Small"], "size": 32, "batch": 2, "steps": 2, "rounds": 1}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["MobileNetV3Small", "ResNet50"], metavar="NAME")
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    arguments = parse_arguments(parser, **SMOKE)
    environment = describe_environment()
    networks = {name: measured(name, arguments) for name in arguments.networks}
    if arguments.json:
        print(json.dumps({"machine": environment, **vars(arguments), "networks": networks}))
        return
    print(
        f"{environment['processor']}, {environment['cores']} cores; batches of {arguments.batch}, {arguments.size} px"
    )
    for name, peers in networks.items():
        for peer, result in peers.items():
            ratio = "{median:.2f} ({min:.2f}-{max:.2f})".format(**result["ratio"])
            print(f"{name:20} {peer:18} {result['seconds']:8.3f} s a step   eyespot, auto, is {ratio} times as fast")


def measured(name: str, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All peers on one network."""
    draw = np.random.default_rng(0)
    shape = (arguments.size, arguments.size, 3)
    images = draw.integers(0, 256, (arguments.batch * arguments.steps, *shape)).astype(np.float32)
    labels = draw.integers(0, 10, len(images))
    first = network(name, shape)
    models = {"eyespot, auto": "auto", "eyespot, float32": "float32", "Keras on PyTorch": None}
    trained = {}
    for peer, precision in models.items():
        model = network(name, shape)
        model.set_weights(first.get_weights())
        trained[peer] = model if precision is None else eyespot.accelerate(model, precision=precision)
    losses = {
        peer: model.fit(images[: arguments.batch], labels[: arguments.batch], batch_size=arguments.batch, verbose=0)
        for peer, model in trained.items()
    }
    ours, theirs = (losses[peer].history["loss"][0] for peer in ("eyespot, float32", "Keras on PyTorch"))
    assert abs(ours - theirs) < TOLERANCE * theirs, f"{name}: the losses differ: {ours} and {theirs}"
    seconds: dict[str, list[float]] = {peer: [] for peer in trained}
    for number in range(arguments.rounds):
        for peer in list(trained)[:: -1 if number % 2 else 1]:
            started = time.perf_counter()
            trained[peer].fit(images, labels, batch_size=arguments.batch, verbose=0)
            seconds[peer].append((time.perf_counter() - started) / arguments.steps)
    results: dict[str, dict[str, Any]] = {}
    for peer, taken in seconds.items():
        ratios = [their / our for their, our in zip(taken, seconds["eyespot, auto"], strict=True)]
        spread = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
        results[peer] = {"seconds": statistics.median(taken), "ratio": spread}
    return results


def network(name: str, shape: tuple[int, int, int]) -> keras.Model:
    """A network with random weights, compiled; its dropout, which both would draw differently, left out."""
    keras.utils.set_random_seed(0)
    options = {"dropout_rate": 0.0} if name.startswith("MobileNetV3") else {}
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10, **options)
    model.compile("adam", loss="sparse_categorical_crossentropy")
    return model


if __name__ == "__main__":
    run_benchmark(main)
