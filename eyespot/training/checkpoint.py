"""Checkpoints of a training: when they are written, which are kept, and which one it continues from."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from eyespot.errors import CheckpointError
from eyespot.recipe_parts import CheckpointRecipe
from eyespot.training.state import TrainingState
from eyespot.training.store import read_checkpoint, remove_checkpoint, remove_unfinished, write_checkpoint

SHARE = 0.01  # of the time that checkpoints may cost, where the recipe does not say when to write them
FIRST_COST = 0.05  # seconds; what a first one is taken to cost
PREFIX = "step-"


class Checkpoints:
    """A run's checkpoints, one directory each, by the number of steps made.

    A checkpoint that cannot be written is told, and training goes on: the next one may find room.

    Args:
        folder: where they lie; made if it is not there.
        say: told of what goes wrong.
    """

    def __init__(self, folder: Path, recipe: CheckpointRecipe, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        self.folder, self.recipe, self.say = folder, recipe, say
        self._written_at, self._cost = time.monotonic(), FIRST_COST
        self._written: int | None = None

    def are_due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether one should be written now, after so many steps in the whole training."""
        recipe, since = self.recipe, time.monotonic() - self._written_at
        if recipe.every_steps is None and recipe.every_minutes is None:
            return since * SHARE >= self._cost
        by_steps = recipe.every_steps is not None and steps % recipe.every_steps == 0
        return epoch_ends or by_steps or (recipe.every_minutes is not None and since >= recipe.every_minutes * 60)

    def save(self, state: TrainingState) -> None:
        """Writes one, and removes those that are too old by then."""
        if state.steps == self._written:
            return
        started = time.monotonic()
        try:
            write_checkpoint(self.folder / f"{PREFIX}{state.steps:09}", *state.parts())
        except CheckpointError as error:
            self.say(f"Note: {error} Training goes on; what was written before is kept.")
        else:
            self._written = state.steps
            for path in _newest_first(self.folder)[self.recipe.keep :]:
                _remove(path)
        self._written_at = time.monotonic()
        self._cost = self._written_at - started


def latest_state(folder: Path, say: Callable[[str], None]) -> TrainingState | None:
    """The newest checkpoint that is whole; None where there is none.

    Args:
        say: told of damaged ones, which are passed over.
    """
    for path in _newest_first(folder):
        try:
            return TrainingState.from_parts(*read_checkpoint(path), path)
        except CheckpointError as error:
            say(f"Note: {error} The one before it is taken.")
    return None


def _remove(path: Path) -> None:
    with suppress(OSError):  # it may be removed with the next one
        remove_checkpoint(path)


def _newest_first(folder: Path) -> list[Path]:
    numbered = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdecimal()]
    return sorted(numbered, key=lambda path: int(path.name.removeprefix(PREFIX)), reverse=True)
