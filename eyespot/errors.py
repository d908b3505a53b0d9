"""The errors users meet, each one sentence: what is wrong, where, and what to do.

EyespotError            exit code 1
├── UsageError          arguments that contradict each other, have no effect, or are out of range
├── MissingExtra        a library that is not installed, and the extra of eyespot that brings it
├── RecipeError         a setting of a recipe that is unknown or out of range
├── DataError           a dataset that is missing or malformed
│   ├── DownloadError   ... or cannot be fetched
│   └── PictureError    one image that cannot be read
├── ModelError          a model that is unknown, or does not fit the data
├── RunError            a run directory that is missing, half there, or in the way
│   └── CheckpointError a checkpoint that is missing, damaged, or cannot be written
├── ExportError         a format that is unknown or cannot be written here, or an export that differs from its run
├── ServingError        an address that cannot be listened on
├── TrackingError       an MLflow server or store that cannot be reached
├── DivergedError       exit code 3: the loss stopped being a number; what was good is kept
└── InterruptedRun      exit code 130 or 143: stopped by Ctrl-C or by SIGTERM; what was done is kept

Exit code 2 is the command line's own (an option that does not exist).
"""

import difflib
from collections.abc import Iterable, Sequence


class EyespotError(Exception):
    """A foreseeable error, described in one sentence."""

    exit_code = 1


class UsageError(EyespotError):
    """Arguments contradict each other, have no effect, or are out of range."""


class MissingExtra(EyespotError):  # noqa: N818 - nothing is wrong but that a library is not there
    """A library that a verb needs is not installed.

    Args:
        user: what needs it, as the beginning of a sentence.
        libraries: by name.
        extra: of eyespot, which installs them.
    """

    def __init__(self, user: str, libraries: Sequence[str], extra: str) -> None:
        names, are = " and ".join(libraries), "are" if len(libraries) > 1 else "is"
        super().__init__(f"{user} needs {names}, which {are} not installed: pip install 'eyespot[{extra}]'")


class RecipeError(EyespotError):
    """A setting of a recipe is unknown or out of range."""


class DataError(EyespotError):
    """A dataset is missing or malformed."""


class DownloadError(DataError):
    """A dataset's file cannot be fetched."""


class PictureError(DataError):
    """A file is not an image that can be read."""


class ModelError(EyespotError):
    """A model is unknown, or does not fit the data."""


class RunError(EyespotError):
    """A run directory is missing, half there, or in the way."""


class CheckpointError(RunError):
    """A checkpoint is missing, damaged, or cannot be written."""


class ExportError(EyespotError):
    """A format is unknown or cannot be written here, or an export differs from its run."""


class ServingError(EyespotError):
    """The server cannot be started as it is asked to."""


class TrackingError(EyespotError):
    """An MLflow server or store cannot be reached."""


class DivergedError(EyespotError):
    """The loss stopped being a number."""

    exit_code = 3


class InterruptedRun(EyespotError):  # noqa: N818 - not a fault: the user asked
    """Training was stopped by a signal: 2 for Ctrl-C, 15 for `kill`."""

    def __init__(self, sentence: str, signal: int = 2) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + signal


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop; the error's type where it has no message."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".") if lines else "") or type(error).__name__


def check_at_least(name: str, value: float | None, least: int) -> None:
    """Check a number that a call states; None is not stated.

    Args:
        name: of the argument, for the error.

    Raises:
        UsageError: it is below `least`.
    """
    if value is not None and value < least:
        raise UsageError(f"`{name}` must be at least {least}; received {value:g}.")


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One sentence for a name that does not exist: the nearest known one, and all of them."""
    names = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"There is no {kind} named {name!r}.{hint} Known: {', '.join(names)}."


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, as in `1 file` and `1,204 files`.

    Args:
        noun: for one.
        plural: for any other number; None: the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
