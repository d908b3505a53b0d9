"""Kills a training again and again, and sees whether it ends as one that was left alone.

    python -m tests.training.kills 300

Half of the kills come at a random moment, half at a random call of the system within a save. After each, there must be
a checkpoint that can be read, or none yet, and no damaged one; the next process goes on from it. A control follows,
until it has done damage: a writer without the sibling and the rename. Prints what was found of both, as JSON.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eyespot.data.dataset import Dataset, Split
from eyespot.recipe.schema import CheckpointRecipe
from eyespot.training import checkpoint
from eyespot.training.checkpoint import Checkpoints, latest_state
from eyespot.training.fit import fit
from tests.training.test_checkpoint import CALLS, written_in_place
from tests.training.test_resume import EVERYTHING, digest, program_for

RECIPE = EVERYTHING.with_options({"epochs": 3, "early_stopping": False})


def pictures() -> Dataset:
    """96 training and 24 validation images of noise in three classes."""
    generator = np.random.default_rng(1)

    def noise(n: int) -> Split:
        return Split(generator.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8), generator.integers(0, 3, n))

    return Dataset("noise", ("a", "b", "c"), noise(96), validation=noise(24))


def train_in(folder: Path, dataset: Dataset) -> None:
    """Goes on from what is in the folder, and writes the digest at the end."""
    program = program_for(dataset, RECIPE, "float32")
    keeper = Checkpoints(folder, CheckpointRecipe(every_steps=1), print)
    outcome = fit(program, dataset, RECIPE.training, keeper=keeper, start=latest_state(folder, print))
    (folder / "digest").write_text(digest(program, outcome))


def die_within_a_save(number: int) -> None:
    """Lets the nth call of the system from now on be the last; a write gets half done."""
    left = [number]

    def deadly(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if name == "write":
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return counted

    for name in CALLS:
        setattr(os, name, deadly(name, getattr(os, name)))


def child(folder: Path, dataset: Dataset, calls: int | None) -> int:
    """Starts a training in a process of its own; its number."""
    process = os.fork()
    if process:
        return process
    if calls:
        die_within_a_save(calls)
    train_in(folder, dataset)
    os._exit(0)


def alone(dataset: Dataset) -> tuple[str, float]:
    """What a training that nobody kills ends with, and the seconds that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        os.waitpid(child(Path(folder), dataset, None), 0)
        return (Path(folder) / "digest").read_text(), time.perf_counter() - started


def campaign(dataset: Dataset, kills: int, longest: float, *, until_damaged: bool = False) -> dict[str, Any]:
    """Kill trainings `kills` times, and let the last one end.

    Args:
        longest: the latest random moment, in seconds after a training's start.
        until_damaged: stop as soon as a checkpoint is damaged.
    """
    generator = random.Random(0)  # noqa: S311 - moments, not secrets
    found: dict[str, Any] = {"kills": 0, "within_a_save": 0, "trainings": 0, "damaged": [], "digests": set()}

    def is_over() -> bool:
        return until_damaged and bool(found["damaged"])

    with tempfile.TemporaryDirectory() as root:
        while found["kills"] < kills and not is_over():
            folder = Path(root) / str(found["trainings"])
            while not (folder / "digest").exists() and not is_over():
                within = generator.random() < 0.5
                process = child(folder, dataset, generator.randint(1, 200) if within else None)
                if not within:
                    time.sleep(generator.uniform(0, longest))
                    os.kill(process, signal.SIGKILL)
                if os.WIFSIGNALED(os.waitpid(process, 0)[1]):
                    found["kills"] += 1
                    found["within_a_save"] += within
                latest_state(folder, found["damaged"].append)
            found["trainings"] += 1
            if (folder / "digest").exists():
                found["digests"].add((folder / "digest").read_text())
    return found | {"digests": sorted(found["digests"])}


if __name__ == "__main__":
    torch.set_num_threads(1)  # threads do not survive a fork
    noise = pictures()
    if find_spec("numba"):
        import_module("numba")  # so that no child has to; its threads, which start later, would not survive a fork
    alone(noise)  # compiles what is not compiled yet
    digest_alone, seconds = alone(noise)
    atomic = campaign(noise, int(sys.argv[1]), 1.5 * seconds)
    checkpoint.write_checkpoint = written_in_place
    in_place = campaign(noise, 100, 1.5 * seconds, until_damaged=True)
    json.dump({"atomic": atomic | {"alone": digest_alone}, "in place": in_place}, sys.stdout)
