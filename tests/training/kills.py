"""Kills a training again and again, and sees whether it ends as one that was left alone.

    python -m tests.training.kills 300 [in-place]

Half of the kills come at a random moment, half at a random call of the system within a save. After each, there must be
a checkpoint that can be read, or none yet, and no damaged one; the next process goes on from it. Prints what it found,
as JSON. `in-place` is the control: a writer without the sibling and the rename.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
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
LONGEST = 2.0  # seconds; a training takes about one


def pictures() -> Dataset:
    """96 training and 24 validation pictures of noise in three classes."""
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


def campaign(kills: int, seed: int = 0) -> dict[str, Any]:
    """As the module's docstring has it."""
    generator, dataset = random.Random(seed), pictures()  # noqa: S311 - moments, not secrets
    found: dict[str, Any] = {"kills": 0, "within_a_save": 0, "trainings": 0, "damaged": [], "digests": set()}
    with tempfile.TemporaryDirectory() as root:
        alone = Path(root) / "alone"
        os.waitpid(child(alone, dataset, None), 0)
        found["alone"] = (alone / "digest").read_text()
        while found["kills"] < kills:
            folder = Path(root) / str(found["trainings"])
            while not (folder / "digest").exists():
                within = generator.random() < 0.5
                process = child(folder, dataset, generator.randint(1, 200) if within else None)
                if not within:
                    time.sleep(generator.uniform(0, LONGEST))
                    os.kill(process, signal.SIGKILL)
                if os.WIFSIGNALED(os.waitpid(process, 0)[1]):
                    found["kills"] += 1
                    found["within_a_save"] += within
                latest_state(folder, found["damaged"].append)
            found["trainings"] += 1
            found["digests"].add((folder / "digest").read_text())
    return found | {"digests": sorted(found["digests"])}


if __name__ == "__main__":
    torch.set_num_threads(1)  # threads do not survive a fork
    if sys.argv[2:] == ["in-place"]:
        checkpoint.write_checkpoint = written_in_place
    json.dump(campaign(int(sys.argv[1])), sys.stdout)
