import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock

from eyespot import train, tune
from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, InterruptedRun, MissingExtra, RecipeError, RunError
from eyespot.recipe.schema import Recipe
from eyespot.training.fit import fit
from eyespot.workflow import search as search_module
from eyespot.workflow import tune as tune_module
from eyespot.workflow.tune import Tuning

QUICK = {"model.name": "mlp", "model.width": 0.1, "training.epochs": 2, "training.precision": "float32"}
SPACE = {"training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "training.optimizer": ["adam", "sgd"]}


def search(bars: Dataset, folder: Path, **asked: Any) -> Any:
    settings = QUICK | asked.pop("settings", {})
    options: dict[str, Any] = {"trials": 3, "space": SPACE, "verbose": 0} | asked
    return tune(bars, output=folder / "t", settings=settings, **options)


def trials_in(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 't' / 'search.sqlite3'}")
    trials = optuna.load_study(study_name="eyespot", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return trials


@dataclass(frozen=True)
class FinishedSearch:
    """A folder with a search, its result, and every dataset and recipe that a training of it was given."""

    folder: Path
    done: Tuning
    fitted: list[tuple[Dataset, Any]]


def watching(told: list[Any]) -> Callable[..., Any]:
    """`fit`, which takes down the dataset and the recipe of each training."""

    def watched(program: Any, dataset: Dataset, recipe: Any, *rest: Any) -> Any:
        told.append((dataset, recipe))
        return fit(program, dataset, recipe, *rest)

    return watched


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every dataset and recipe that a training of the search was given."""
    told: list[Any] = []
    monkeypatch.setattr(search_module, "fit", watching(told))
    return told


@pytest.fixture
def one_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained anew with one seed, where a test does not look at the others."""
    monkeypatch.setattr(tune_module, "SEEDS", 1)


@pytest.fixture(scope="module")
def finished(bars: Dataset, tmp_path_factory: pytest.TempPathFactory) -> FinishedSearch:
    """A search of three trials that nothing interrupted; tests read it, or go on with a copy."""
    folder = tmp_path_factory.mktemp("finished")
    told: list[Any] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search_module, "fit", watching(told))
        done = search(bars, folder)
    return FinishedSearch(folder, done, told)


def test_a_search_ends_as_a_recipe_that_trains(bars: Dataset, finished: FinishedSearch, tmp_path: Path):
    """Trials, then the recipe itself and the best few with fresh seeds; the lowest median is a whole recipe's file."""
    done = finished.done
    assert done.trials == 3
    assert done.candidates[0].number is None
    assert [list(one.losses) for one in done.candidates] == [[1, 2, 3]] * len(done.candidates)
    assert [recipe.seed for _, recipe in finished.fitted] == [0] * 3 + [1, 2, 3] * len(done.candidates)
    recipe = Recipe.read(finished.folder / "t" / "best.yaml")
    best = min(done.candidates, key=lambda one: one.median)
    for key, value in best.settings.items():
        assert getattr(recipe.training, key.removeprefix("training.")) == value
    trained = train(bars, recipe, tmp_path / "run", seed=1, verbose=0)
    history = trained.run.history.column("val_loss")
    assert min(history) == pytest.approx(best.losses[1], rel=1e-6)
    told = json.loads((finished.folder / "t" / "tuning.json").read_text(encoding="utf-8"))
    assert told["candidates"][0]["median_val_loss"] == done.candidates[0].median
    assert done.sentence in (finished.folder / "t" / "README.md").read_text(encoding="utf-8")
    assert "# - training.optimizer: adam, sgd" in (finished.folder / "t" / "best.yaml").read_text(encoding="utf-8")


def test_the_first_trial_is_the_recipe_itself(finished: FinishedSearch):
    """Its own settings are tried first, unchanged, and never pruned."""
    assert finished.fitted[0][1].learning_rate is None
    first, *_ = trials_in(finished.folder)
    assert first.params == {"training.learning_rate": 0.001, "training.optimizer": "adam"}
    assert first.state == optuna.trial.TrialState.COMPLETE


def test_no_training_of_a_search_sees_test_pictures(finished: FinishedSearch):
    """What trainings are given has no test split."""
    assert finished.fitted
    assert all(dataset.test is None for dataset, _ in finished.fitted)


@pytest.mark.usefixtures("one_seed")
def test_images_held_out_for_the_test_are_never_searched_on(bars: Dataset, tmp_path: Path, fitted: list[Any]):
    """They are held out once; the recipe that is found holds out the same ones."""
    labelled = replace(bars, test=None)
    done = search(labelled, tmp_path, trials=1, settings={"split.test_fraction": 0.25})
    assert {len(dataset.train) + len(dataset.validation or ()) for dataset, _ in fitted} == {90}
    assert done.recipe.split.test_fraction == 0.25


@pytest.mark.usefixtures("one_seed")
def test_a_search_that_was_interrupted_goes_on(
    bars: Dataset, finished: FinishedSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ctrl-C within the third trial: the same call tries it again, and ends as an uninterrupted search does.

    Other test images, which it has here, change nothing of what is found.
    """
    others = replace(bars, test=bars.train)
    count: list[int] = []

    def stopped(program: Any, dataset: Any, recipe: Any, observers: Any, asked: Any) -> Any:
        count.append(recipe.seed)
        if len(count) == 3:
            signal.raise_signal(signal.SIGINT)
        return fit(program, dataset, recipe, observers, asked)

    monkeypatch.setattr(search_module, "fit", stopped)
    with pytest.raises(InterruptedRun, match="same command continues") as caught:
        search(others, tmp_path)
    assert caught.value.exit_code == 130
    done = search(others, tmp_path)
    assert count.count(0) == 4  # three trials, one of them twice
    whole = finished.done.candidates
    assert [one.losses for one in done.candidates] == [{1: one.losses[1]} for one in whole]
    for name in ("settings", "searched"):
        assert [getattr(one, name) for one in done.candidates] == [getattr(one, name) for one in whole]


def test_what_is_done_is_not_done_again(bars: Dataset, finished: FinishedSearch, tmp_path: Path, fitted: list[Any]):
    """A finished search is read from its file; with more trials it goes on, and trains anew only new candidates."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    assert search(bars, tmp_path).candidates == finished.done.candidates
    assert not fitted
    assert search(bars, tmp_path, trials=4).trials == 4
    assert [recipe.seed for _, recipe in fitted].count(0) == 1
    with pytest.raises(RunError, match="a search with another recipe"):
        search(bars, tmp_path, settings={"training.epochs": 3})
    with pytest.raises(RunError, match="a search with another space"):
        search(bars, tmp_path, space={"training.optimizer": ["adam", "sgd"]})


@pytest.mark.usefixtures("one_seed")
def test_hopeless_trials_are_pruned(bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A trial worse than the median of those before is cut short, marked so, and never trained anew."""
    monkeypatch.setattr(search_module, "STARTUP", 1)
    space = {"training.learning_rate": [1e-3, 1e-7, 1.1e-7, 1.2e-7]}
    done = search(bars, tmp_path, trials=4, space=space, settings={"training.epochs": 4})
    pruned = [one for one in trials_in(tmp_path) if one.state == optuna.trial.TrialState.PRUNED]
    assert pruned
    assert done.pruned == len(pruned)
    for one in pruned:
        assert one.user_attrs["why"] == "pruned"
        assert one.user_attrs["epochs"] < 4
        assert one.number not in [candidate.number for candidate in done.candidates]


@pytest.mark.usefixtures("one_seed")
def test_settings_that_do_not_go_together_end_a_trial_alone(bars: Dataset, tmp_path: Path):
    """Values that fit singly but not together are a pruned trial, which says why."""
    space = {"training.warmup_epochs": [0, 2], "training.epochs": [1, 3]}
    settings = {"training.schedule": "cosine", "training.epochs": 3}
    done = search(bars, tmp_path, trials=4, space=space, settings=settings)
    whys = [one.user_attrs["why"] for one in trials_in(tmp_path)]
    assert done.trials == 4
    assert any("training.warmup_epochs must be below" in why for why in whys)


@pytest.mark.usefixtures("one_seed")
def test_the_time_is_kept(bars: Dataset, finished: FinishedSearch, tmp_path: Path):
    """Trials stop while training anew still fits in; a recipe that takes longer than that is told."""
    done = search(bars, tmp_path, trials=None, seconds=3, settings={"training.epochs": 1})
    assert done.trials >= 2
    assert done.seconds < 9  # by far the most of it is overhead where the machine is busy
    with pytest.raises(EyespotError, match="The time was over after 0 epochs of the recipe itself"):
        search(bars, tmp_path / "short", trials=None, seconds=0.001)


@pytest.mark.usefixtures("one_seed")
def test_nothing_better_is_said_plainly(bars: Dataset, tmp_path: Path):
    """Where no candidate is better, best.yaml is the recipe itself, and the sentence says so."""
    done = search(bars, tmp_path, trials=2, space={"training.learning_rate": [1e-3, 1e-9]})
    assert not done.found_better
    assert done.sentence.startswith("Nothing better was found in 2 trials")
    assert Recipe.read(tmp_path / "t" / "best.yaml").training.learning_rate is None


def test_a_folder_that_cannot_be_searched_is_told(bars: Dataset, tmp_path: Path):
    """A file that is no database, or a search that another process is at: one sentence."""
    (tmp_path / "t").mkdir()
    with FileLock(tmp_path / "t" / ".lock"), pytest.raises(RunError, match="by another process"):
        search(bars, tmp_path)
    (tmp_path / "t" / "search.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match=r"search\.sqlite3 is damaged \(file is not a database\)"):
        search(bars, tmp_path)


@pytest.mark.parametrize("method", ["none", "test"])
def test_a_search_needs_validation_data_of_its_own(bars: Dataset, tmp_path: Path, method: str):
    """A recipe that validates on the test images, or not at all, is refused."""
    with pytest.raises(RecipeError, match="leaves it none of its own"):
        search(bars, tmp_path, settings={"split.method": method})


def test_without_optuna_one_sentence_says_how_to_get_it(bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The extra is named, before any data is read."""
    monkeypatch.setattr(search_module, "find_spec", lambda name: None if name == "optuna" else find_spec(name))
    with pytest.raises(MissingExtra, match=r"pip install 'eyespot\[tune\]'"):
        search(bars, tmp_path)
    assert tune_module.SEEDS == 3


@pytest.mark.parametrize("name", ["README.md", "tuning.json", "best.yaml", "search.sqlite3"])
def test_a_persons_files_are_not_written_over(name: str, bars: Dataset, tmp_path: Path):
    """Pages, a recipe, a database of another program: refused before anything is tried."""
    (tmp_path / "t").mkdir()
    path = tmp_path / "t" / name
    if name == "search.sqlite3":
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE mine (x)")
            database.commit()
    else:
        path.write_text("mine")
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"left alone: move it away, or choose another `output`"):
        search(bars, tmp_path)
    assert path.read_bytes() == before
    assert [one.name for one in (tmp_path / "t").iterdir()] == [name]
