"""A search: Optuna's study in an SQLite file, and trials, judged on validation data alone."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from eyespot.data.dataset import Dataset
from eyespot.engine.hardware import deterministic_kernels
from eyespot.errors import MissingExtra, RecipeError, RunError
from eyespot.random import seed_for
from eyespot.recipe.schema import Recipe
from eyespot.studies.space import Range, Space
from eyespot.training.fit import Ending, Observer, StepProgress, fit
from eyespot.training.history import EpochFigures
from eyespot.workflow.prepare import prepare, program_for

if TYPE_CHECKING:
    import optuna

AROUND = 1.0  # seconds a training takes besides its epochs
NAME = "eyespot"
FILE = "search.sqlite3"
STARTUP = 3  # trials that are completed before any may be pruned
OWN = "own"  # marks the trial of the recipe's own settings


def without_test(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset that a search may see: everything but the test images.

    Raises:
        RecipeError: the recipe has no validation data but those.
    """
    if recipe.split.method in {"none", "test"}:
        raise RecipeError(
            f"A search chooses on validation data, and `split.method={recipe.split.method!r}` leaves it none of its "
            "own: use `split.method='fraction'`."
        )
    # Where leaks are to be dropped, each training looks for them anew; otherwise that time is saved.
    return replace(dataset, test=None, origin=dataset.origin if recipe.pictures.drop_leaks else None)


@dataclass(frozen=True)
class TrialResult:
    """Result of one training.

    Attributes:
        val_loss: of the epoch that the recipe keeps; None where there is none.
        seconds: for all of it.
        steady: seconds that the same training would take again: without what happens once, such as compiling kernels.
    """

    ending: Ending
    val_loss: float | None
    val_accuracy: float | None
    epochs: int
    seconds: float
    steady: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def run_trial(
    dataset: Dataset, recipe: Recipe, observers: Sequence[Observer] = (), stop: Callable[[], bool] = lambda: False
) -> TrialResult:
    """Trains a recipe, and says what validation data gave.

    Args:
        dataset: without test images.
        stop: asked after every step; the training then ends as interrupted.
    """
    started = time.perf_counter()
    prepared = prepare(dataset, recipe, {}, {}, trust=False, verbose=0)
    training = prepared.recipe.training
    program = program_for(prepared, training.steps_for(len(prepared.dataset.train)), lambda _: None)
    with deterministic_kernels(enabled=training.deterministic):
        outcome = fit(program, prepared.dataset, training, observers, stop)
    row = outcome.history.rows[outcome.kept_epoch - 1] if outcome.kept_epoch else {}
    seconds, epochs = time.perf_counter() - started, outcome.history.column("seconds")
    steady = min(seconds, len(epochs) * median(epochs) + AROUND) if epochs else seconds
    return TrialResult(outcome.ending, row.get("val_loss"), row.get("val_accuracy"), len(epochs), seconds, steady)


def check_optuna() -> None:
    """Raises a MissingExtra where Optuna is not installed."""
    if not find_spec("optuna"):
        raise MissingExtra("A search", ["Optuna"], "tune")


@contextmanager
def open_search(folder: Path, space: Space, seed: int, warmup: int, about: Mapping[str, Any]) -> Iterator["Search"]:
    """The search in a folder, begun or continued; within it, no other process goes on with it.

    Args:
        seed: of the proposals.
        warmup: epochs in which no trial is pruned.
        about: plain values; what is searched, and on what.

    Raises:
        RunError: the folder holds a search for something else, its file is damaged or not eyespot's, or another process
            is at it.
    """
    import optuna
    from filelock import FileLock, Timeout
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if (folder / FILE).exists() and not _is_search(folder / FILE):
        raise RunError(
            f"{folder / FILE} is no search by eyespot, and is left alone: move it away, or choose another `output`."
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / FILE).resolve()
    try:
        with FileLock(folder / ".lock", timeout=0):
            try:
                storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
            except DatabaseError as error:
                raise RunError(
                    f"{folder / FILE} is damaged ({error.orig}): remove it, or take another `output`."
                ) from None
            try:
                yield Search(storage, folder, space, seed, warmup, about)
            finally:
                storage.remove_session()
                storage.engine.dispose()
    except Timeout:
        raise RunError(f"{folder} is being searched by another process: wait for it, or stop it.") from None


def _is_search(path: Path) -> bool:
    """Whether a database holds a search, or nothing yet; damage is reported when it is opened."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            names = {name for (name,) in database.execute("SELECT study_name FROM studies")} if tables else {NAME}
            return NAME in names or not names
    except sqlite3.OperationalError as error:
        return "no such" not in str(error)  # no such table or column: it is a database of something else
    except sqlite3.DatabaseError:
        return True


class Search:
    """Trials of a space, proposed by a seeded TPE sampler (Bergstra et al. 2011, NeurIPS), pruned below the median.

    Each proposal is a function of the seed and of the trials before, so that an interrupted search proposes what it
    would have proposed. Arguments are those of `open_search`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as of `open_search`
        self,
        storage: "optuna.storages.RDBStorage",
        folder: Path,
        space: Space,
        seed: int,
        warmup: int,
        about: Mapping[str, Any],
    ) -> None:
        import optuna

        self.optuna, self.seed = optuna, seed
        self.distributions = {key: _distribution(values) for key, values in space.items()}
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=warmup)
        self.study = optuna.create_study(
            storage=storage, study_name=NAME, pruner=pruner, direction="minimize", load_if_exists=True
        )
        self._check_is_of(json.loads(json.dumps(about)), folder)
        self._take_up_again()

    def begin_with(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Proposes these before any others, the first as the recipe's own; what was proposed before is not again."""
        if not self.study.get_trials(deepcopy=False):
            for index, point in enumerate(points):
                self.study.enqueue_trial(dict(point), user_attrs={OWN: index == 0})

    def ask(self) -> "optuna.Trial":
        """The next trial, with a value for each key of the space."""
        numbers = [trial.number for trial in self.finished]
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed_for(self.seed, "proposals", len(numbers)))
        return self.study.ask(fixed_distributions=self.distributions)

    def tell(self, trial: "optuna.Trial", tried: TrialResult, why: str) -> None:
        """Records how a trial ended.

        Args:
            why: it was cut short; empty where it was not.
        """
        states = self.optuna.trial.TrialState
        for key, value in (tried.to_dict() | {"why": why}).items():
            trial.set_user_attr(key, value)
        if why or tried.val_loss is None:
            self.study.tell(trial, state=states.PRUNED)
        else:
            self.study.tell(trial, tried.val_loss)

    @property
    def finished(self) -> list["optuna.trial.FrozenTrial"]:
        """Trials that ended, completed or pruned, in their order."""
        states = self.optuna.trial.TrialState
        return self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))

    @property
    def own(self) -> "optuna.trial.FrozenTrial | None":
        """The trial of the recipe's own settings, once it has ended."""
        return next((trial for trial in self.finished if trial.user_attrs.get(OWN)), None)

    @property
    def best(self) -> list["optuna.trial.FrozenTrial"]:
        """Other trials that were completed, the lowest validation loss first."""
        trials = [trial for trial in self.finished if not trial.user_attrs.get(OWN)]
        completed = self.optuna.trial.TrialState.COMPLETE  # a pruned one has a value too: that of its last epoch
        return sorted((trial for trial in trials if trial.state == completed), key=lambda trial: trial.value or 0.0)

    def remembered(self, name: str, default: Any) -> Any:
        """The value that was written down under a name."""
        return self.study.user_attrs.get(name, default)

    def remember(self, name: str, value: Any) -> None:
        """Writes down plain values under a name."""
        self.study.set_user_attr(name, value)

    def _check_is_of(self, about: dict[str, Any], folder: Path) -> None:
        stored = self.remembered("about", None)
        if stored is None:
            self.remember("about", about)
            return
        changed = [name for name in about if stored.get(name) != about[name]]
        if changed:
            raise RunError(
                f"{folder} holds a search with another {' and '.join(changed)}: choose another `output`, or remove it."
            )

    def _take_up_again(self) -> None:
        """Proposes again what an interrupted search was trying."""
        states = self.optuna.trial.TrialState
        for trial in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            self.study.tell(trial.number, state=states.FAIL)
            self.study.enqueue_trial(dict(trial.params), user_attrs={OWN: bool(trial.user_attrs.get(OWN))})


def _distribution(values: list[Any] | Range) -> Any:
    from optuna import distributions

    if isinstance(values, list):
        return distributions.CategoricalDistribution(values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return distributions.IntDistribution(values.low, values.high, log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


class Pruning:
    """Reports a trial's validation loss after each epoch, and says when it is not worth going on.

    Args:
        never: it always is.
    """

    def __init__(self, trial: "optuna.Trial", *, never: bool) -> None:
        self.trial, self.never, self.pruned = trial, never, False

    def on_epoch(self, row: EpochFigures) -> None:
        """Reports it."""
        self.trial.report(row["val_loss"], int(row["epoch"]))
        self.pruned = not self.never and self.trial.should_prune()

    def on_step(self, step: StepProgress) -> None:
        """Steps are not judged."""
