"""Checkpoints: what a training continues from, when it is written, and how it lies on disk.

A checkpoint is a directory that is whole or not there, and every damage to it is found. `docs/formats.md` describes the
format. Nothing in it is pickled; reading it executes nothing. Of a checkpoint that is removed or replaced, its four
files go, and the directory if nothing else is in it.

Arrays are in NumPy's own format: safetensors has no hashes either, and what eyespot 0.1 wrote must still be read.
"""

import hashlib
import io
import json
import os
import re
import time
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from eyespot.engine.steps import Mean
from eyespot.errors import CheckpointError
from eyespot.files import TEMPORARY, replacing_folder
from eyespot.recipe.schema import CheckpointRecipe
from eyespot.training.history import History

WeightArrays = list[np.ndarray]
CURRENT, OPTIMIZER, LAST, BEST, LOSSES = "weights", "optimizer", "last", "best", "validation_losses"
FORMAT = 1
STATE, ARRAYS, MANIFEST, SEAL = "state.json", "arrays.npz", "manifest.json", "manifest.sha256"
PLAIN = "biuf"  # NumPy's kinds of numbers: no objects, no text
OURS = re.compile(re.escape(TEMPORARY) + "[0-9a-f]{32}-.+")  # a temporary sibling's name
NamedArrays = Mapping[str, np.ndarray]
SHARE = 0.01  # of the time that checkpoints may cost, where the recipe does not say when to write them
FIRST_COST = 0.05  # seconds; what a first one is taken to cost
PREFIX = "step-"


class TrainingPosition(BaseModel):
    """Plain values of a state, besides its arrays.

    Orders, masks and all else that is drawn are functions of the seed and the number of an epoch or a step
    (`eyespot.random`): these counters are the state of every generator.

    Attributes:
        seed: of the training.
        epochs_done: with their validation.
        steps_done: in the epoch after these.
        first_step: number of the first of them in the whole training.
        pictures, loss_sum, right: the mean over these steps.
        seconds: that they took.
        history: of the epochs done.
        best_epoch: of the lowest validation loss so far; None where there is none.
        best_loss: that loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: NonNegativeInt
    epochs_done: NonNegativeInt
    steps_done: NonNegativeInt
    first_step: NonNegativeInt
    pictures: NonNegativeInt = 0
    loss_sum: float = 0.0
    right: NonNegativeFloat = 0.0
    seconds: NonNegativeFloat = 0.0
    history: list[dict[str, int | float]] = []  # `epoch` stays a whole number
    best_epoch: NonNegativeInt | None = None
    best_loss: float | None = Field(default=None)

    @property
    def mean(self) -> Mean:
        """Mean loss and accuracy over the steps done in the epoch under way."""
        return Mean(self.pictures, self.loss_sum, self.right)


@dataclass(frozen=True)
class TrainingState:
    """A training after some step.

    Attributes:
        weights: of the model.
        optimizer: its variables: the step count, the learning rate, slots, averages of the weights.
        last: the weights to keep after `epochs_done` epochs: averaged, where the recipe averages.
        best: those of `best_epoch`, where the recipe keeps the best.
        validation_losses: loss of each validation image, an array an epoch; none in checkpoints of eyespot 0.1.
    """

    position: TrainingPosition
    weights: WeightArrays
    optimizer: WeightArrays
    last: WeightArrays
    best: WeightArrays | None = None
    validation_losses: WeightArrays = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Number of steps done in the whole training."""
        return self.position.first_step + self.position.steps_done

    @property
    def epochs(self) -> float:
        """Number of epochs done, and the share of the one under way."""
        steps_an_epoch = self.position.first_step / self.position.epochs_done if self.position.epochs_done else 0
        return self.position.epochs_done + (self.position.steps_done / steps_an_epoch if steps_an_epoch else 0)

    @property
    def history(self) -> History:
        """History of the epochs done."""
        return History(list(self.position.history))

    def parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Plain values and arrays by name; what is equal to another set of weights is not stored again."""
        stored = {CURRENT: self.weights, OPTIMIZER: self.optimizer, LOSSES: self.validation_losses}
        aliases: dict[str, str] = {}
        for name, weights, candidate in ((LAST, self.last, CURRENT), (BEST, self.best, LAST)):
            if weights is None:
                continue
            source = aliases.get(candidate, candidate)
            if _equal(weights, stored[source]):
                aliases[name] = source
            else:
                stored[name] = weights
        arrays = {f"{name}/{index}": array for name, arrays in stored.items() for index, array in enumerate(arrays)}
        return {"position": self.position.model_dump(), "same": aliases}, arrays

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray], where: object) -> "TrainingState":
        """The state again.

        Args:
            where: what it was read from, for the error.

        Raises:
            CheckpointError: something is missing or not what it should be.
        """
        sets: dict[str, dict[int, np.ndarray]] = {CURRENT: {}, OPTIMIZER: {}, LOSSES: {}}
        try:
            for name, array in arrays.items():
                set_name, _, index = name.partition("/")
                sets.setdefault(set_name, {})[int(index)] = array
            ordered = {name: [by_index[index] for index in range(len(by_index))] for name, by_index in sets.items()}
            ordered |= {name: ordered[source] for name, source in dict(values["same"]).items()}
            position = TrainingPosition.model_validate(values["position"])
            return cls(
                position, ordered[CURRENT], ordered[OPTIMIZER], ordered[LAST], ordered.get(BEST), ordered[LOSSES]
            )
        except (KeyError, ValueError, TypeError, ValidationError) as error:
            raise CheckpointError(f"The checkpoint {where} is damaged: {error}.") from None


class Checkpoints:
    """A run's checkpoints, one directory each, by the number of steps made.

    Where a checkpoint cannot be written, a message says so, and training goes on: the next one may find room.

    Args:
        folder: where they lie; made if it is not there.
        say: receives a message about each failure.
    """

    def __init__(self, folder: Path, recipe: CheckpointRecipe, say: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        self.folder, self.recipe, self.say = folder, recipe, say
        self._written_at, self._cost = time.monotonic(), FIRST_COST
        self._written: int | None = None

    def are_due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether a checkpoint is due after a number of steps in the whole training."""
        recipe, elapsed = self.recipe, time.monotonic() - self._written_at
        if recipe.every_steps is None and recipe.every_minutes is None:
            return elapsed * SHARE >= self._cost
        by_steps = recipe.every_steps is not None and steps % recipe.every_steps == 0
        return epoch_ends or by_steps or (recipe.every_minutes is not None and elapsed >= recipe.every_minutes * 60)

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


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left: temporary siblings, by their names."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_symlink() or not (OURS.fullmatch(path.name) or _holds_nothing(path)):
            continue
        if path.is_dir():
            remove_checkpoint(path)
        else:
            path.unlink(missing_ok=True)


def _holds_nothing(path: Path) -> bool:
    return all(file.is_file() and not file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))


def remove_checkpoint(path: Path) -> None:
    """Removes a checkpoint, if one is there; what else lies in its directory stays, and so does a link."""
    if path.is_symlink() or not path.is_dir():
        return
    for name in (SEAL, MANIFEST, STATE, ARRAYS):
        (path / name).unlink(missing_ok=True)
    with suppress(OSError):  # it holds something else
        path.rmdir()


def _equal(first: WeightArrays, second: WeightArrays) -> bool:
    """Bit for bit, which is not what == says of -0 and NaN."""
    return len(first) == len(second) and all(
        array.dtype == other_array.dtype
        and array.shape == other_array.shape
        and array.tobytes() == other_array.tobytes()
        for array, other_array in zip(first, second, strict=True)
    )


def write_checkpoint(path: Path, state: Mapping[str, Any], arrays: NamedArrays) -> None:
    """Writes a checkpoint; whoever reads `path` finds what was there before or all of the new one.

    The files are written to a sibling directory, which is then renamed.

    Args:
        path: the directory; a checkpoint that is there is replaced.
        state: plain values.
        arrays: of numbers, by name.

    Raises:
        CheckpointError: the disk is full, or cannot be written to; the sibling is removed.
    """
    files = {STATE: _json(dict(state)), ARRAYS: _npz(arrays)}
    entries = {name: {"bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    files[MANIFEST] = _json({"format": FORMAT, "files": entries})
    files[SEAL] = f"{_sha256(files[MANIFEST])}  {MANIFEST}\n".encode()  # as sha256sum writes and checks it
    try:
        with replacing_folder(path, _without_checkpoint) as sibling:
            for name, data in files.items():
                _write(sibling / name, data)
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be written: {error.strerror or error}.") from error


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, allow_nan=False) + "\n").encode()


def _npz(arrays: NamedArrays) -> bytes:
    buffer = io.BytesIO()
    # A dtype that NumPy does not know, such as bfloat16, fits into float32 whole.
    plain = {name: array if array.dtype.kind in PLAIN else array.astype(np.float32) for name, array in arrays.items()}
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(array, order="C") for name, array in plain.items()})
    return buffer.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _without_checkpoint(path: Path) -> Iterator[None]:
    """A checkpoint that is there already is a damaged one, which training came past again."""
    remove_checkpoint(path)
    yield


def _write(path: Path, data: bytes) -> None:
    """Write a file by the system's own calls, each of which the tests make fail."""
    binary = getattr(os, "O_BINARY", 0)  # without it, Windows writes two bytes for each line feed
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o666)
    try:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
    finally:
        os.close(file)


def _newest_first(folder: Path) -> list[Path]:
    numbered = [path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdecimal()]
    return sorted(numbered, key=lambda path: int(path.name.removeprefix(PREFIX)), reverse=True)


def _remove(path: Path) -> None:
    with suppress(OSError):  # it may be removed with the next one
        remove_checkpoint(path)


def latest_state(folder: Path, say: Callable[[str], None]) -> TrainingState | None:
    """The newest checkpoint that is whole; None where there is none.

    Args:
        say: receives a message about each damaged checkpoint, which is passed over.
    """
    for path in _newest_first(folder):
        try:
            return TrainingState.from_parts(*read_checkpoint(path), path)
        except CheckpointError as error:
            say(f"Note: {error} The one before it is taken.")
    return None


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """State and arrays of a checkpoint.

    Raises:
        CheckpointError: it is missing, is of another format, or a bit of it is not as it was written.
    """
    try:
        manifest = _manifest(path)
        files = {name: _listed(path / name, manifest["files"][name]) for name in (STATE, ARRAYS)}
        state = json.loads(files[STATE])
        if not isinstance(state, dict):
            raise TypeError(f"{STATE} is no object")
        return state, _read_npz(files[ARRAYS])
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, KeyError, EOFError, RecursionError, MemoryError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"The checkpoint {path} is damaged: {error}.") from None


def _manifest(path: Path) -> dict[str, Any]:
    data = (path / MANIFEST).read_bytes()
    if (path / SEAL).read_bytes() != f"{_sha256(data)}  {MANIFEST}\n".encode():
        raise ValueError(f"{MANIFEST} is not as it was written")
    manifest: dict[str, Any] = json.loads(data)
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"The checkpoint {path} has the format {manifest['format']}, and this eyespot reads {FORMAT}: continue "
            "with the version that wrote it."
        )
    return manifest


def _listed(path: Path, entry: dict[str, Any]) -> bytes:
    """A file's content, if it is as the manifest has it."""
    if path.stat().st_size != entry["bytes"]:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes, not {entry['bytes']:,}")
    data = path.read_bytes()
    if _sha256(data) != entry["sha256"]:
        raise ValueError(f"{path.name} is not as it was written")
    return data


def _read_npz(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError(f"{ARRAYS} is compressed")  # we do not; it could hide any size
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in archive.infolist()}


def _array(data: bytes) -> np.ndarray:
    """An array of numbers from an `.npy` file; what it declares and does not hold is damage."""
    buffer = io.BytesIO(data)
    try:
        array: np.ndarray = np.lib.format.read_array(buffer, allow_pickle=False)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"an array's header makes no sense: {error}") from None
    if array.dtype.kind not in PLAIN or buffer.read(1):
        raise ValueError(f"an array holds other data than numbers of the shape {array.shape}")
    return array
