"""Run: the directory one training leaves behind, which a person can read without eyespot."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyespot.errors import EyespotError, RunError
from eyespot.files import write_text

if TYPE_CHECKING:  # a prediction from a cold start loads none of these but the last
    import eyespot
    from eyespot.backend import keras
    from eyespot.inference.pictures import Pictures
    from eyespot.inference.predictor import Predictor
    from eyespot.recipe.schema import Recipe
    from eyespot.training.history import History

ROOT = Path("runs")


class Run:
    """A training's directory: every file of it by name, and what the files say.

    Nothing in it is pickled; opening it executes nothing.

    Example:
        >>> run = eyespot.open_run("runs/digits-cnn-1")
        >>> run.metrics["test"]["accuracy"], run.recipe.training.epochs
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Return the run as a notebook shows it: figures, verdict, learning curves."""
        from eyespot.reports.summaries import run_summary
        from eyespot.training.history import History

        try:
            history = self.history if (self.path / "history.csv").exists() else History()
            metrics = self.metrics if (self.path / "metrics.json").exists() else {}
            return run_summary(self.path, history, metrics)
        except (EyespotError, OSError, LookupError, TypeError, ValueError, AttributeError):  # it is damaged
            from eyespot.notebook import card, paragraph

            return card(self.name, "run", [paragraph(f"The files in {self.path} are missing or damaged.")])

    @property
    def name(self) -> str:
        """The name of the run in figures: its directory's name."""
        return self.path.resolve().name

    def file(self, name: str) -> Path:
        """The path of one of its files.

        Raises:
            RunError: the run is half there: it has no such file.
        """
        path = self.path / name
        if path.exists():
            return path
        raise RunError(
            f"{self.path} has no {name}: its training did not finish. Continue it with: "
            f"`train(resume={str(self.path)!r})`"
        )

    @cached_property
    def recipe(self) -> "Recipe":
        """The recipe of the run."""
        from eyespot.recipe.schema import Recipe

        return Recipe.read(self.file("recipe.yaml"))

    @cached_property
    def history(self) -> "History":
        """The history of the training, by epoch."""
        from eyespot.training.history import History

        return History.read(self.file("history.csv"))

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, machine, data."""
        return self._json("environment.json")

    @property
    def metrics(self) -> dict[str, Any]:
        """The verdict, and the figures on validation and test data."""
        return self._json("metrics.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within it, no other process trains this run; the lock goes with the process, however that ends.

        Raises:
            RunError: another one does.
        """
        from filelock import FileLock, Timeout

        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        try:
            with FileLock(folder / ".lock", timeout=0):
                yield
        except Timeout:
            raise RunError(f"{self.path} is being trained by another process: wait for it, or stop it.") from None

    def predictor(self) -> "Predictor":
        """Return the model in ONNX Runtime; imports neither Keras nor PyTorch."""
        from eyespot.inference.predictor import Predictor

        return Predictor(self.file("model.onnx"))

    def model(self, *, trust: bool = False) -> "keras.Model":
        """Return the Keras model, not compiled; `keras.saving.load_model` opens the same file.

        Args:
            trust: allow classes that are not Keras's own, as `load_model` does.

        Raises:
            RunError: the run is half there.
            ModelError: the file cannot be opened, or has classes that are not Keras's own.

        Example:
            >>> eyespot.open_run("runs/digits-cnn-1").model().summary()
        """
        from eyespot.models.loading import load_model

        return load_model(self.file("model.keras"), trust=trust)

    def predict(  # noqa: PLR0913 - as of the verb
        self,
        pictures: "Pictures",
        top: int = 5,
        *,
        reject: bool | float = False,
        as_is: bool = False,
        each: bool = False,
        value_range: tuple[float, float] | None = None,
    ) -> "list[eyespot.Prediction]":
        """Say what images show, as `eyespot.predict` does, with the same arguments and errors.

        Example:
            >>> run = eyespot.open_run("runs/digits-cnn-1")
            >>> run.predict(images)[0].label  # images: an array, Pillow images, paths, a folder, …
        """
        import eyespot

        return eyespot.predict(self, pictures, top, reject=reject, as_is=as_is, each=each, value_range=value_range)

    def evaluate(self, on: "eyespot.Source | None" = None) -> "eyespot.EvaluationResult":
        """Measure its model on labelled images, as `eyespot.evaluate` does, with the same errors.

        Example:
            >>> eyespot.open_run("runs/digits-cnn-1").evaluate().accuracy
        """
        import eyespot

        return eyespot.evaluate(self, on)

    def write_json(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def _json(self, name: str) -> dict[str, Any]:
        path = self.file(name)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path} is damaged: {error}.") from None
        if not isinstance(values, dict):
            raise RunError(f"{path} is damaged: expected an object; received {type(values).__name__}.")
        return values


RunLike = str | Path | Run


def open_run(run: RunLike) -> Run:
    """Open a run by its path; one that is open already stays as it is.

    Raises:
        RunError: there is no such directory, or it is no run.

    Example:
        >>> eyespot.open_run("runs/digits-cnn-1").history.column("val_loss")
    """
    if isinstance(run, Run):
        return run
    run = Run(Path(run))
    if not run.path.is_dir():
        latest = _latest()
        hint = f" The latest is {latest}." if latest else " Make one with: eyespot train"
        raise RunError(f"There is no run at {run.path}.{hint}")
    if not (run.path / "recipe.yaml").exists():
        raise RunError(f"{run.path} is not a run: it has no recipe.yaml.")
    return run


def _latest() -> Path | None:
    runs = sorted(ROOT.glob("*/recipe.yaml"), key=lambda path: path.stat().st_mtime)
    return runs[-1].parent if runs else None


def check_new(output: str | Path | None) -> None:
    """Check, before any work, that a run can be made here.

    Raises:
        RunError: `output` exists; a run is never overwritten.
    """
    if output is not None and os.path.lexists(output):
        raise _exists(output)


def _exists(output: str | Path) -> RunError:
    return RunError(f"{output} exists already, and a run is never overwritten: choose another `output`.")


def create_run(output: Path | None, name: str) -> Run:
    """Make a new, empty run directory.

    Args:
        output: where; None: `runs/<name>-<n>` with the lowest n that is free.

    Raises:
        RunError: `output` exists; a run is never overwritten.
    """
    if output is not None:
        try:
            output.mkdir(parents=True)
        except FileExistsError:
            raise _exists(output) from None
        return Run(output)
    number = 1
    while True:
        path = ROOT / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return Run(path)
